"""Preflight: compare the servers with what the release needs, at the start and while the worker runs."""
