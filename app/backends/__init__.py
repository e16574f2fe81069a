"""Clients of Postgres, Redis and Elasticsearch with circuit breakers, replica pool, batching."""
