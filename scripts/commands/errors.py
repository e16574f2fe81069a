"""Expected failures, each as a sentence and an exit code."""

# ruff: noqa: PLC0415 -- the packages are loaded only when a command has failed.

from collections.abc import Callable
from socket import gaierror
from typing import NamedTuple

from scripts.errors import CliError, ExitCode

NO_RESPONSE = "it does not respond in time"
"""Reason of errors without a text: those of timeouts."""


class ExitMessage(NamedTuple):
    sentence: str
    code: ExitCode


def describe_error(error: Exception) -> ExitMessage | None:
    """Return the sentence and exit code of an expected failure, or None for a bug."""
    from core.configuration.settings import SettingsError

    if isinstance(error, CliError):
        return ExitMessage(str(error), error.code)
    # Before the clients of all services are loaded.
    if isinstance(error, SettingsError):
        return ExitMessage(str(error), ExitCode.SETTING)
    for types, code, describe in _expected():
        if isinstance(error, types):
            return ExitMessage(describe(error), code)
    return None


def _expected() -> list[tuple[tuple[type[Exception], ...], ExitCode, Callable[[Exception], str]]]:
    """Return exception types, exit code and description; the first entry that matches counts."""
    from asyncpg import PostgresError
    from elastic_transport import TransportError
    from elasticsearch import ApiError
    from redis.exceptions import RedisError
    from sqlalchemy.exc import DBAPIError

    from indexer.errors import IndexerError, ReindexRunningError
    from migrations import MigrationError

    unreachable = (ConnectionError, TimeoutError, gaierror)
    return [
        ((ReindexRunningError,), ExitCode.BUSY, str),
        ((IndexerError, MigrationError), ExitCode.FAILED, str),
        (
            (TransportError,),
            ExitCode.NOT_RUNNING,
            _unreachable("Elasticsearch"),
        ),
        ((ApiError,), ExitCode.FAILED, lambda error: f"Elasticsearch rejected the command: {error}"[:1000]),
        ((RedisError,), ExitCode.NOT_RUNNING, _unreachable("Redis")),
        ((PostgresError, DBAPIError), ExitCode.FAILED, _describe_postgres_error),
        # asyncpg does not wrap the errors of its connections.
        (unreachable, ExitCode.NOT_RUNNING, _unreachable("Postgres")),
        ((OSError,), ExitCode.FAILED, _describe_os_error),
        ((ModuleNotFoundError,), ExitCode.FAILED, _missing_module),
    ]


def _unreachable(server: str) -> Callable[[Exception], str]:
    return lambda error: f"{server} is unreachable: {str(error) or NO_RESPONSE}"


def _describe_os_error(error: Exception) -> str:
    """Return the system's reason and the file that it is about, without its number."""
    reason, name = getattr(error, "strerror", None), getattr(error, "filename", None)
    return str(error) if reason is None else f"{reason}: {name}." if name else f"{reason}."


def _missing_module(error: Exception) -> str:
    """The packages for a checkout (local servers, demo, drill, benchmark) are not part of an installed wheel."""
    return f"This command works in a checkout only, after ./scripts/setup ({error})."


def _describe_postgres_error(error: Exception) -> str:
    """Return the message of Postgres without the statement that SQLAlchemy adds."""
    origin = getattr(error, "orig", None) or error
    cause = origin.__cause__ or origin
    if getattr(cause, "sqlstate", None) in {"42P01", "3F000"}:
        return f"The database lacks a table ({cause}). smarttrip check names all, smarttrip migrate creates ours."
    return f"Postgres rejected the command: {cause}"
