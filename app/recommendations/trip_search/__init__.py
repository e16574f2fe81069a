"""Trip searches: in Elasticsearch, and in Postgres as the fallback."""
