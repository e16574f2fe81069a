"""Scoring: rules, candidate filters and explanations. Pure: no I/O, no clock."""
