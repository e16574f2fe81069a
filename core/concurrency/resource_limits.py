"""Resource limits: timeouts and sizes of connection pools, which are settings."""

from typing import Annotated

from pydantic import BaseModel, Field

Seconds = Annotated[float, Field(gt=0, le=600)]
Connections = Annotated[int, Field(ge=1, le=1000)]


class ResourceLimits(BaseModel, frozen=True):
    request_seconds: Seconds = 8
    """Timeout of a request; calls to backends have shorter ones."""
    admin_seconds: Seconds = 300
    """Timeout of an administrator's request, which may scan all departures."""
    body_seconds: Seconds = 10
    """Timeout for a client to send a request's body, or to read the next part of a response; a whole request may take
    twice as long."""

    postgres_connections: Connections = 5
    """Size of each pool: one for the primary and one for each replica."""
    postgres_pool_seconds: Seconds = 2
    """Timeout for a free connection."""
    postgres_connect_seconds: Seconds = 3
    postgres_statement_seconds: Seconds = 5

    redis_connections: Connections = 50
    redis_seconds: Seconds = 0.25
    """Timeout of a command, including the wait for a connection."""

    elasticsearch_connections: Connections = 64
    elasticsearch_seconds: Seconds = 1.0

    background_statement_seconds: Seconds = 30
    """Timeout of a statement in the worker. The worker's timeouts are longer because no client waits for it."""
    background_pool_seconds: Seconds = 10
    background_index_seconds: Seconds = 15
    background_redis_seconds: Seconds = 5


DEFAULTS = ResourceLimits()
