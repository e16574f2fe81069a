"""Run real Postgres, Valkey and Elasticsearch servers on this machine, from Python and Maven packages alone."""
