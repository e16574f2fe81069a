"""The search in Elasticsearch and the one in Postgres, with one interface."""
