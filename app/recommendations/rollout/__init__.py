"""Which weight set answers a request, by the rollout in Postgres."""
