"""Limit on open connections: it leaves room for the process's own sockets, and the longest idle one is closed first."""

import resource
from contextlib import suppress
from typing import Protocol

from prometheus_client import Counter

from core.configuration.settings import Settings

CLOSED_IDLE = Counter("smarttrip_http_idle_connections_closed_total", "Idle connections closed to make room for others")

MAX_CONNECTIONS = 10_000
"""Connections of a process, however many files it may open: each takes about 10 kB."""

OTHER_FILES = 100
"""Open files besides connections of clients and servers: standard streams, listening sockets, metrics, certificates."""


SPARE = 64
"""Connections that are accepted although all others serve requests: a request on them gets a response that says so."""


class Closable(Protocol):
    def abort(self) -> None: ...


def raise_open_files_limit() -> None:
    """Raise the soft limit of open files to the hard one; the soft one is often 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some systems refuse an unlimited number.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def connection_limit(settings: Settings) -> int:
    """Return how many clients may be connected to this process at once."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    databases = 1 + len(settings.database_replica_urls)
    own = (
        databases * settings.postgres_connections
        + settings.redis_connections
        + 2 * settings.elasticsearch_connections
        + OTHER_FILES
    )
    # With very few files, half of them: the pools are rarely full.
    return min(MAX_CONNECTIONS, max(soft - own, soft // 2))


class ConnectionLimit:
    """The idle connections, longest first: those that serve no request, though a part of one may have arrived."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._max_busy = limit - min(SPARE, limit // 4)
        self._idle: dict[Closable, None] = {}

    def make_room(self, count: int) -> None:
        """Close the longest idle connection if `count` are more than the limit."""
        if count > self._limit and self._idle:
            longest = next(iter(self._idle))
            del self._idle[longest]
            CLOSED_IDLE.inc()
            longest.abort()

    def can_serve(self, connection: Closable, count: int) -> bool:
        """Return whether `connection` may become busy, as one of `count`, and leave enough idle ones to be closed."""
        return connection not in self._idle or count - len(self._idle) < self._max_busy

    def set_idle(self, connection: Closable) -> None:
        self._idle[connection] = None

    def set_busy(self, connection: Closable) -> None:
        """Protect a connection that serves a request, or forget one that has ended."""
        self._idle.pop(connection, None)
