"""Events and request logs into the Redis stream."""
