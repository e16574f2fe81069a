"""Metrics of every process, and the files that share them."""
