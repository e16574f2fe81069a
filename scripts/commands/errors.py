"""Expected failures, each as a sentence and an exit code."""

# ruff: noqa: PLC0415 -- the packages are loaded only when a command has failed.

from collections.abc import Callable
from socket import gaierror
from typing import NamedTuple

from scripts.errors import CliError, ExitCode


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
    # SQLAlchemy wraps the errors of asyncpg.
    origin = getattr(getattr(error, "orig", None), "__cause__", None)
    for types, code, describe in _expected():
        if isinstance(error, types) or isinstance(origin, types):
            return ExitMessage(describe(error), code)
    return None


def _expected() -> list[tuple[tuple[type[Exception], ...], ExitCode, Callable[[Exception], str]]]:
    """Return exception types, exit code and description; the first entry that matches counts."""
    from asyncpg import InvalidAuthorizationSpecificationError, InvalidPasswordError, PostgresError
    from elastic_transport import TransportError
    from elasticsearch import ApiError
    from elasticsearch import AuthenticationException as ElasticsearchAuthenticationError
    from redis.exceptions import AuthenticationError as RedisAuthenticationError
    from redis.exceptions import RedisError
    from sqlalchemy.exc import DBAPIError

    from indexer.errors import IndexerError, ReindexRunningError
    from migrations import MigrationError

    unreachable = (ConnectionError, TimeoutError, gaierror)
    refused_by_postgres = (InvalidPasswordError, InvalidAuthorizationSpecificationError)
    return [
        (refused_by_postgres, ExitCode.SETTING, _refused("Postgres", "DATABASE_URL")),
        ((RedisAuthenticationError,), ExitCode.SETTING, _refused("Redis", "REDIS_URL")),
        (
            (ElasticsearchAuthenticationError,),
            ExitCode.SETTING,
            _refused("Elasticsearch", "ELASTICSEARCH_URL or ELASTICSEARCH_API_KEY"),
        ),
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
    def describe(error: Exception) -> str:
        from scripts.connection_failures import describe_failure

        return f"{server} is unreachable: {describe_failure(error)}."

    return describe


def _refused(server: str, setting: str) -> Callable[[Exception], str]:
    return lambda error: f"{setting} is wrong: {server} does not accept this user with this password."


def _describe_os_error(error: Exception) -> str:
    """Return the system's reason and the file that it is about, without its number."""
    reason, name = getattr(error, "strerror", None), getattr(error, "filename", None)
    return str(error) if reason is None else f"{reason}: {name}." if name else f"{reason}."


def _missing_module(error: Exception) -> str:
    """Return the sentence for a missing package: a wheel has none for local servers, demo, drill and benchmark."""
    return f"This command works in a checkout only, after ./scripts/setup ({error})."


def _describe_postgres_error(error: Exception) -> str:
    """Return the message of Postgres without the statement that SQLAlchemy adds."""
    origin = getattr(error, "orig", None) or error
    cause = origin.__cause__ or origin
    if getattr(cause, "sqlstate", None) in {"42P01", "3F000"}:
        return f"The database lacks a table ({cause}). smarttrip check names all, smarttrip migrate creates ours."
    return f"Postgres rejected the command: {cause}"
