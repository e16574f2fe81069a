"""What `scripts/demo` shows: the whole system at work, started from nothing and put away at the end."""
