"""Connect to Postgres: hosts in turn, parameters of the URL, and the session settings that statements rely on."""

import random
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import asyncpg

from core.concurrency.resource_limits import DEFAULTS
from core.configuration.postgres_url import SOCKET, PostgresAddress
from core.postgres.driver_connection import PostgresConnection, driver_errors_as_connection_errors
from core.postgres.primary import order_by_timeline
from core.postgres.session_settings import session_script, session_settings

APPLICATION_NAME = "smarttrip"

SOCKET_OPTIONS = {
    "keepalives_idle": "TCP_KEEPIDLE",
    "keepalives_interval": "TCP_KEEPINTVL",
    "keepalives_count": "TCP_KEEPCNT",
    "tcp_user_timeout": "TCP_USER_TIMEOUT",
}
"""Names in the module `socket`; a platform may lack some of them."""

FOR_WRITES = ("read-write", "primary")
"""Values of target_session_attrs."""

FINAL_SQLSTATES = ("28", "3D")
"""SQLSTATE classes of a rejected log-in: another host would reject it, too, or must not be asked."""


class NoSuchHostError(ConnectionError):
    """No host of the URL is of the kind that it wants; the message says which."""


async def connect(
    address: PostgresAddress,
    *,
    seconds: float = DEFAULTS.postgres_connect_seconds,
    command_timeout: float | None = None,
    kept_statements: int = 0,
) -> PostgresConnection:
    """Connect to the first host that accepts, to write only on the latest timeline. `seconds` is the timeout of each.

    The connection keeps so many prepared statements, unless there is a pooler.

    Raises: OSError or asyncpg.PostgresError, from the last host.
    """
    limit = int(address.parameters.get("connect_timeout", "0"))
    seconds = min(seconds, limit) if limit > 0 else seconds
    connection = await _connect_to_any(address, timeout=seconds, command_timeout=command_timeout)
    try:
        _set_socket_options(connection, address)
        with driver_errors_as_connection_errors():
            await _set_up(connection, address, seconds)
        connection.keep_statements(kept_statements)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def _connect_to_any(address: PostgresAddress, **options: Any) -> PostgresConnection:
    wanted = address.parameters.get("target_session_attrs", "any")
    last: Exception = NoSuchHostError("there is no host")
    places = _places(address)
    if len(places) > 1 and wanted in FOR_WRITES:
        places = await order_by_timeline(places, _identity(address))
    for attributes in ("standby", "any") if wanted == "prefer-standby" else (wanted,):
        for place in places:
            try:
                return await _connect_to(place, address, target_session_attrs=attributes, **options)
            except asyncpg.exceptions.TargetServerAttributeNotMatched:
                last = NoSuchHostError(f"no host is {wanted}, as target_session_attrs wants it")
            except asyncpg.PostgresError as error:
                if str(error.sqlstate).startswith(FINAL_SQLSTATES):
                    raise
                last = error
            except OSError as error:
                last = error
    raise last


def _places(address: PostgresAddress) -> Sequence[dict[str, Any]]:
    places = [{"host": host, "port": port} for host, port in address.hosts]
    if address.parameters.get("load_balance_hosts") == "random":
        random.shuffle(places)
    return places or [{}]


def _identity(address: PostgresAddress) -> dict[str, Any]:
    """Return the arguments of asyncpg.connect that all hosts of the address share."""
    return {
        "dsn": address.driver_url,
        "user": address.user,
        "password": address.password,
        "database": address.database,
        # A pooler in transaction mode may use another server connection for each transaction, so prepared
        # statements must not outlive one. Without a cache, asyncpg does not name its statements either.
        "statement_cache_size": 0,
    }


async def _connect_to(place: dict[str, Any], address: PostgresAddress, **options: Any) -> PostgresConnection:
    """Connect to one host, without settings where a pooler rejects them."""
    settings = session_settings(address.session_settings)
    name = address.parameters.get("application_name") or address.parameters.get("fallback_application_name")
    arguments = {
        **_identity(address),
        "connection_class": PostgresConnection,
        **place,
        **options,
    }
    application = {"application_name": name or APPLICATION_NAME}
    try:
        connection: PostgresConnection = await asyncpg.connect(**arguments, server_settings={**settings, **application})
    except (asyncpg.exceptions.ProtocolViolationError, asyncpg.exceptions.FeatureNotSupportedError):
        # PgBouncer accepts only the parameters that it tracks.
        connection = await asyncpg.connect(**arguments, server_settings=application)
        connection.pooled_address = address
    return connection


def _set_socket_options(connection: PostgresConnection, address: PostgresAddress) -> None:
    given = {name: int(address.parameters[name]) for name in SOCKET & address.parameters.keys()}
    transport = connection._transport  # type: ignore[attr-defined]
    link = transport.get_extra_info("socket") if given else None
    if link is None or link.family == socket.AF_UNIX:
        return
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(given.pop("keepalives", 1) != 0))
    for name, value in given.items():
        option = getattr(socket, SOCKET_OPTIONS[name], None)
        if option is not None and value > 0:
            with suppress(OSError):
                link.setsockopt(socket.IPPROTO_TCP, option, value)


async def _set_up(connection: PostgresConnection, address: PostgresAddress, seconds: float) -> None:
    """Find out whether there is a pooler, which hides the server's process id; if not, complete the session."""
    if connection.pooled_address is None:
        process = await connection.fetchval("SELECT pg_backend_pid()", timeout=seconds)
        if process == connection.get_server_pid():
            await connection.execute(session_script(connection.get_server_version().major), timeout=seconds)
        else:
            connection.pooled_address = address
