"""Readiness and graceful shutdown."""
