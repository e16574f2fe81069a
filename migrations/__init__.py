"""Our additions to the platform's database, as Alembic revisions."""
