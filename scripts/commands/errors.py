"""The failures that a person can do something about, each as a sentence and an exit code."""

# ruff: noqa: PLC0415 -- the packages are loaded only once something has failed.

from collections.abc import Callable
from socket import gaierror
from typing import NamedTuple

from scripts.errors import CliError, ExitCode


class ExitMessage(NamedTuple):
    sentence: str
    code: ExitCode


def describe_error(error: Exception) -> ExitMessage | None:
    """None: nothing that was to be expected, but a bug."""
    if isinstance(error, CliError):
        return ExitMessage(str(error), error.code)
    for kinds, code, sentence in _expected():
        if isinstance(error, kinds):
            return ExitMessage(sentence(error), code)
    return None


def _expected() -> list[tuple[tuple[type[Exception], ...], ExitCode, Callable[[Exception], str]]]:
    """The first that fits counts."""
    from asyncpg import PostgresError
    from elastic_transport import TransportError
    from redis.exceptions import RedisError
    from sqlalchemy.exc import DBAPIError

    from core.settings import SettingsError
    from indexer.errors import IndexerError, ReindexRunningError
    from migrations import MigrationError

    unreachable = (ConnectionError, TimeoutError, gaierror)
    return [
        ((SettingsError,), ExitCode.USAGE, str),
        ((ReindexRunningError,), ExitCode.BUSY, str),
        ((IndexerError, MigrationError), ExitCode.FAILED, str),
        ((TransportError,), ExitCode.NOT_RUNNING, lambda error: f"Elasticsearch does not answer: {error}"),
        ((RedisError,), ExitCode.NOT_RUNNING, lambda error: f"Redis does not answer: {error}"),
        ((PostgresError, DBAPIError), ExitCode.FAILED, _postgres_says),
        # asyncpg leaves the errors of its connections as they are.
        (unreachable, ExitCode.NOT_RUNNING, lambda error: f"Postgres does not answer: {error}"),
        ((OSError,), ExitCode.FAILED, str),
        ((ModuleNotFoundError,), ExitCode.FAILED, _missing_module),
    ]


def _missing_module(error: Exception) -> str:
    """The packages for a checkout (local servers, demo, benchmark) are not part of an installed wheel."""
    return f"This command works in a checkout only, after ./scripts/setup ({error})."


def _postgres_says(error: Exception) -> str:
    """Its own words, without the statement that SQLAlchemy adds."""
    origin = getattr(error, "orig", None) or error
    cause = origin.__cause__ or origin
    if getattr(cause, "sqlstate", None) in {"42P01", "3F000"}:
        return f"The database is not migrated ({cause}); run: smarttrip migrate."
    return f"Postgres says: {cause}"
