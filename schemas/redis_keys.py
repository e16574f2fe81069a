"""Redis keys that more than one package uses. In Redis they follow the prefix of the installation, if it has one."""

INSTALLATION = "smarttrip:installation"
"""Id of the installation that the keys belong to, see `indexer.index.ownership`."""

GENERATION_COUNTER = "smarttrip:generation"
"""Number of the last published change, see `schemas.invalidation_message`."""

RECENT_CHANGES = "smarttrip:changes:recent"
"""The latest messages of `schemas.invalidation_message`, for processes that missed them."""

GENERATION_SERVER = "smarttrip:generation:server"
"""Run id of the Redis process that counted last, see `core.generation`."""

TRACKING_STREAM = "smarttrip:tracking"
"""Stream of tracking events and request logs, from the API to the worker, which removes stored entries."""

REINDEX_PROGRESS = "smarttrip:reindex"
"""Progress of the running or last reindex: JSON, see `indexer.rebuild.progress`."""
