"""Replay of logged searches on two sides, and comparison of their answers, for `smarttrip replay`."""
