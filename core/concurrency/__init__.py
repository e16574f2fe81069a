"""Tasks, timeouts, retries, single flight, detection of stalls, bisection of batches."""
