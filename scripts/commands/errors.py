"""The failures that a person can do something about, each as a sentence and an exit code."""

# ruff: noqa: PLC0415 -- the packages are loaded only once something has failed.

from collections.abc import Callable
from socket import gaierror
from typing import NamedTuple

from scripts.errors import CommandError, Exit


class Ending(NamedTuple):
    sentence: str
    code: Exit


def in_a_sentence(error: Exception) -> Ending | None:
    """None: nothing that was to be expected, but a bug."""
    if isinstance(error, CommandError):
        return Ending(str(error), error.code)
    for kinds, code, sentence in _expected():
        if isinstance(error, kinds):
            return Ending(sentence(error), code)
    return None


def _expected() -> list[tuple[tuple[type[Exception], ...], Exit, Callable[[Exception], str]]]:
    """The first that fits counts."""
    from asyncpg import PostgresError
    from elastic_transport import TransportError
    from redis.exceptions import RedisError
    from sqlalchemy.exc import DBAPIError

    from core.settings import SettingsError
    from indexer.errors import Refusal, ReindexRunning
    from migrations import MigrationError

    unreachable = (ConnectionError, TimeoutError, gaierror)
    return [
        ((SettingsError,), Exit.USAGE, str),
        ((ReindexRunning,), Exit.BUSY, str),
        ((Refusal, MigrationError), Exit.FAILED, str),
        ((TransportError,), Exit.NOT_RUNNING, lambda error: f"Elasticsearch does not answer: {error}"),
        ((RedisError,), Exit.NOT_RUNNING, lambda error: f"Redis does not answer: {error}"),
        ((PostgresError, DBAPIError), Exit.FAILED, _postgres_says),
        # asyncpg leaves the errors of its connections as they are.
        (unreachable, Exit.NOT_RUNNING, lambda error: f"Postgres does not answer: {error}"),
        ((OSError,), Exit.FAILED, str),
        ((ModuleNotFoundError,), Exit.FAILED, lambda error: f"{error}: this command needs ./scripts/setup."),
    ]


def _postgres_says(error: Exception) -> str:
    """Its own words, without the statement that SQLAlchemy adds."""
    origin = getattr(error, "orig", None) or error
    cause = origin.__cause__ or origin
    if getattr(cause, "sqlstate", None) in {"42P01", "3F000"}:
        return f"The database is not migrated ({cause}); run: smarttrip migrate."
    return f"Postgres says: {cause}"
