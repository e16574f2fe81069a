"""Names of the backends in messages that clients read."""

DATABASE_LABEL = "the database"
REDIS_LABEL = "Redis"
SEARCH_INDEX_LABEL = "the search index"
