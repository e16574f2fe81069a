"""The worker's side of tracking: store events and request logs from the stream in Postgres, and aggregate them."""
