"""The demo that `scripts/demo` runs: the whole system, started from nothing and stopped at the end."""
