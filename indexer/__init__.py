"""The worker process: `worker.py` runs everything, `supervisor.py` has a missing or unusable index rebuilt."""
