"""Traces: spans of requests, changes, events and reindexes, for OpenTelemetry."""
