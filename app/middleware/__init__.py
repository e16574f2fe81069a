"""Request context and errors, rate limiting, the fast path for cached responses, instrumentation."""
