"""From the Redis stream into Postgres; visitors, sessions, dead letters, retention."""
