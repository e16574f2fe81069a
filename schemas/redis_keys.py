"""Names in Redis that more than one package uses."""

GENERATION = "smarttrip:generation"
"""Counter that the worker raises each time it tells the caches of a change."""

CHANGES = "smarttrip:changes"
"""How the channel begins on which the worker tells every process what changed: {"generation": int, "kinds": [str]}."""

TRACKING = "smarttrip:tracking"
"""Stream of tracking events and request logs, from the API to the worker, which removes what it has stored."""

REINDEX = "smarttrip:reindex"
"""How far the running or the last reindex is: JSON, see `indexer.rebuild.progress`."""
