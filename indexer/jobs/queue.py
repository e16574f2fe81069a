"""The job queue in Redis, in the format of arq. What must not be lost is in Postgres: Redis may be emptied."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import orjson

from core.redis_connection import RedisPool
from core.tracing import spans

if TYPE_CHECKING:
    from arq.connections import ArqRedis

NAME = "smarttrip:jobs"

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
"""Time at which requested jobs are due. arq compares it with the worker's clock, from which the API's may differ."""
TRACE_SEPARATOR = "/"
EXPIRES = timedelta(days=1)
"""How long a request waits for a worker."""


@dataclass(frozen=True)
class Job:
    name: str
    run: Callable[[], Awaitable[None]]
    timeout: float
    """Seconds."""
    hours: frozenset[int] | None = None
    """Hours (UTC) at which it is scheduled; None is every hour."""
    minutes: frozenset[int] | None = None
    """Minutes at which it is scheduled; None is only on request."""


def connect(url: str, prefix: str = "") -> "ArqRedis":
    """Return a Redis client for jobs, with longer timeouts than those of requests."""
    # Imported late because the package loads its worker, too; the API only enqueues jobs, and rarely.
    from arq.connections import ArqRedis  # noqa: PLC0415

    pool = RedisPool.open(
        url,
        prefix=prefix,
        max_connections=10,
        timeout=5,
        socket_timeout=5,
        socket_connect_timeout=2,
        health_check_interval=15,
    )
    # JSON, not pickle: write access to Redis must not mean running code here.
    redis = ArqRedis(pool, job_serializer=orjson.dumps, job_deserializer=orjson.loads, default_queue_name=prefix + NAME)
    redis.auto_close_connection_pool = True
    return redis


async def enqueue(url: str, name: str, *, prefix: str = "") -> None:
    """Request that a worker runs the job soon.

    Raises: RedisError.
    """
    with spans.span(
        f"send {name}", {"messaging.system": "arq", "messaging.destination.name": NAME}, "producer"
    ) as span:
        async with connect(url, prefix) as redis:
            await redis.enqueue_job(name, _job_id=_job_id(span.trace), _defer_until=LONG_AGO, _expires=EXPIRES)


def _job_id(trace: str) -> str:
    """Return a new id that carries the trace: a worker of an earlier release would fail with an argument."""
    return uuid4().hex + (TRACE_SEPARATOR + trace if trace else "")


def trace_of(job_id: str) -> str:
    """Return the trace of the request for this job; empty if it is not recorded."""
    return job_id.partition(TRACE_SEPARATOR)[2]
