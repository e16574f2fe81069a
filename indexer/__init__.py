"""The indexer: keeps the trip index in Elasticsearch synchronized with Postgres."""
