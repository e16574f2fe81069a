"""Redis keys that more than one package uses."""

GENERATION_COUNTER = "smarttrip:generation"
"""Number of the last published change, see `schemas.invalidation`."""

TRACKING_STREAM = "smarttrip:tracking"
"""Stream of tracking events and request logs, from the API to the worker, which removes stored entries."""

REINDEX_PROGRESS = "smarttrip:reindex"
"""Progress of the running or last reindex: JSON, see `indexer.rebuild.progress`."""
