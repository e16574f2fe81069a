"""Comparison of the servers with what the release needs."""
