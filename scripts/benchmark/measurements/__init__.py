"""Benchmarks of one part each, by a command of their own."""
