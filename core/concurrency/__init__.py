"""Tasks, timeouts, retries, single flight, bisection of batches."""
