"""Weight sets and rollouts in Postgres."""
