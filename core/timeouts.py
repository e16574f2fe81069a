"""How long calls may take and how many connections a process holds: settings like the others, all in one table."""

from typing import Annotated

from pydantic import BaseModel, Field

Seconds = Annotated[float, Field(gt=0, le=600)]
Connections = Annotated[int, Field(ge=1, le=1000)]


class ResourceLimits(BaseModel, frozen=True):
    request_seconds: Seconds = 8
    """For a whole answer; what waits for others is bounded below that."""
    admin_seconds: Seconds = 300
    """The same for administrators' calls, which may look at everything."""
    body_seconds: Seconds = 10
    """For a client to send a request's body, or to go on taking an answer; twice that for a whole request."""

    postgres_connections: Connections = 5
    """To each of primary and replicas."""
    postgres_pool_seconds: Seconds = 2
    """For one of them to be free."""
    postgres_connect_seconds: Seconds = 3
    postgres_statement_seconds: Seconds = 5

    redis_connections: Connections = 50
    redis_seconds: Seconds = 0.25
    """For a command, with the wait for a connection."""

    elasticsearch_connections: Connections = 64
    elasticsearch_seconds: Seconds = 1.0

    background_statement_seconds: Seconds = 30
    """The worker waits longer: nobody waits for it."""
    background_pool_seconds: Seconds = 10
    background_index_seconds: Seconds = 15
    background_redis_seconds: Seconds = 5


DEFAULTS = ResourceLimits()
