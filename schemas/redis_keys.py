"""Names in Redis that more than one package uses."""

GENERATION_COUNTER = "smarttrip:generation"
"""Number of the last published change, see `schemas.invalidation`."""

TRACKING_STREAM = "smarttrip:tracking"
"""Stream of tracking events and request logs, from the API to the worker, which removes what it has stored."""

REINDEX_PROGRESS = "smarttrip:reindex"
"""How far the running or the last reindex is: JSON, see `indexer.rebuild.progress`."""
