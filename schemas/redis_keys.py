"""Names in Redis that more than one package uses."""

GENERATION_COUNTER = "smarttrip:generation"
"""Counter that the worker raises each time it tells the caches of a change."""

INVALIDATION_CHANNEL = "smarttrip:changes"
"""How the channel begins on which the worker tells every process what changed: {"generation": int, "kinds": [str]}."""

TRACKING_STREAM = "smarttrip:tracking"
"""Stream of tracking events and request logs, from the API to the worker, which removes what it has stored."""

REINDEX_PROGRESS = "smarttrip:reindex"
"""How far the running or the last reindex is: JSON, see `indexer.rebuild.progress`."""
