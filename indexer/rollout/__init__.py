"""Weight sets in Postgres, and which of them clients are answered with."""
