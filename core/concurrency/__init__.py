"""Tasks, timeouts, retries, single flight and bisection."""
