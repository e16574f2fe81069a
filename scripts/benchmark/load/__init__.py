"""Requests: what is sent, how fast, and the process that sends it."""
