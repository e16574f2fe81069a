"""Readiness, health, required backends and graceful shutdown."""
