"""The rows of `smarttrip bench`: the service and its baselines in turns."""
