"""The worker's probes and outbox metrics."""
