"""Names of the backends in error messages."""

SEARCH_INDEX_LABEL = "the search index"
