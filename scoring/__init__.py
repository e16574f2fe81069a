"""Preferences in, ranked and explained trips out. Pure: no I/O, no clock."""
