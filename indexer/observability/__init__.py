"""The worker's probes, and metrics of its queues, the index, certificates and the preflight."""
