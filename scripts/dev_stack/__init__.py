"""Postgres, Valkey and Elasticsearch on this machine, from packages."""
