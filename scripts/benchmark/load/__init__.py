"""Requests, their rate, and the process that sends them."""
