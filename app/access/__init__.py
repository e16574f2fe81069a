"""Authentication, client address, rate limiter."""
