"""Errors of a migration."""


class MigrationError(Exception):
    """A sentence for the person who migrates; what was done so far stays, and the command may be run again."""
