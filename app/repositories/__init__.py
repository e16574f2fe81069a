"""The SQL of the endpoints."""
