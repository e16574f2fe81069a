"""Uvicorn: start-up, client timeouts, load shedding, sockets of several processes."""
