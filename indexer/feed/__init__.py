"""The change feed: outbox consumers, batches, fan-out, refresh and invalidation notices."""
