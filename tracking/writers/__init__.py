"""Writers of stream entries to Postgres."""
