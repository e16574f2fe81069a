"""Postgres, Valkey and Elasticsearch as processes of this machine: real servers, from packages alone."""
