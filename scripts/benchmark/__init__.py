"""Benchmarks: the service and its baselines take turns in one run on one machine."""
