"""Daily metrics and trip counters."""
