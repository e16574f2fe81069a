"""A copy of the catalogue without persons, and an installation like production that is made with it."""
