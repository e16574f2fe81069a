"""Keeps the trip index in step with Postgres."""
