"""The rows of `smarttrip bench`: service and baselines in turns."""
