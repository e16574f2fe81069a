"""Prometheus registry, request metrics, access log."""
