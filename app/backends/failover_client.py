"""HTTP client of several equal servers, the nodes of a cluster: one that fails is left out, and tried again later.

The node pool of the official client chooses among them; its connections would cost a fifth of the CPU time of a search.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from time import monotonic

import structlog
from elastic_transport import BaseNode, NodeConfig, NodePool

from app.backends.concurrency_limit import ConcurrencyLimit
from app.backends.http_client import NO_FIELDS, HttpClient, HttpResponse
from core.clients import UNAVAILABLE_STATUSES
from core.concurrency.stall_detector import ServerStalledError
from core.concurrency.tasks import cancel_and_wait, discard_exception
from core.concurrency.time_limit import time_limit

log = structlog.get_logger()

PATIENCE_SECONDS = 0.3
"""Seconds after which a request without a response is sent to another server, too: one that responds to probes may wait
for a third one that does not."""
REPEATED_SHARE = 0.1
MAX_REPEATED = 10.0
"""Share of the requests that may be sent to another server though an earlier one may work on them, and how many at
once: if all servers are slow, more would make them slower."""
BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 5.0
"""Times for which a server is left out before it is tried again: the first, and the longest."""
CANCELLED = b'"task_cancelled_exception"'
"""In the body of a 400: the search waited for the result of an equal one whose caller has gone, such as an earlier
attempt of this request."""

Attempts = dict[asyncio.Task[HttpResponse], BaseNode]


class NodeClient(HttpClient):
    """Client of one of several servers: another one is asked before this one is probed."""

    patience = PATIENCE_SECONDS


class FailoverHttpClient:
    """Has the methods of `HttpClient`."""

    def __init__(self, clients: Sequence[NodeClient], *, seconds: float) -> None:
        """Use these clients, of one server each. `seconds` is the timeout of a request, at all servers together."""
        self._clients = {client.server: client for client in clients}
        self._pool = NodePool(
            list(self._clients),
            BaseNode,
            dead_node_backoff_factor=BACKOFF_SECONDS,
            max_dead_node_backoff=LONGEST_BACKOFF_SECONDS,
        )
        self._left_out_at: dict[NodeConfig, float] = {}
        self._seconds = seconds
        self._limit = ConcurrencyLimit(sum(client.max_connections for client in clients))
        self._repeatable = MAX_REPEATED
        """Requests that may be sent to another server at the moment."""

    @property
    def is_full(self) -> bool:
        return self._limit.is_full

    async def post(self, target: str, body: bytes, fields: Mapping[str, str] = NO_FIELDS) -> HttpResponse:
        """Send a POST request to a server; if it fails or takes long, to the next one, each of them once.

        If all are unavailable, what the last one responded or raised.
        Raises: OSError, of which TimeoutError and ServerStalledError are subclasses.
        """
        attempts: Attempts = {}
        async with time_limit(self._seconds), self._limit.slot():
            try:
                response = await self._post(attempts, target, body, fields)
            except ServerStalledError:
                self._limit.decrease()
                raise
            except asyncio.CancelledError:
                # Of the timeout, or of a caller who has gone: nobody waits for so long.
                self._limit.decrease()
                self._leave_out(attempts.values())
                raise
            else:
                self._limit.increase()
                return response
            finally:
                await cancel_and_wait(attempts)

    def close(self) -> None:
        """Close the idle connections. Callers must not be waiting any more."""
        for client in self._clients.values():
            client.close()

    async def _post(self, attempts: Attempts, target: str, body: bytes, fields: Mapping[str, str]) -> HttpResponse:
        candidates = self._candidates()
        node: BaseNode | None = next(candidates)
        finished = None
        while node is not None:
            attempt = asyncio.create_task(self._clients[node.config].post(target, body, fields))
            attempt.add_done_callback(discard_exception)
            attempts[attempt] = node
            finished = await self._wait(attempts, PATIENCE_SECONDS)
            if finished is not None and _is_available(finished):
                return finished.result()
            node = next((each for each in candidates if self._may_repeat(finished, each)), None)
        while attempts:
            finished = await self._wait(attempts, None)
            if finished is not None and _is_available(finished):
                return finished.result()
        assert finished is not None
        return finished.result()

    def _may_repeat(self, finished: asyncio.Task[HttpResponse] | None, node: BaseNode) -> bool:
        """Return whether a request may go to this server after an attempt that failed, or that has not finished."""
        if finished is not None and (
            isinstance(finished.exception(), ConnectionError) or node.config not in self._left_out_at
        ):
            return True
        if self._repeatable < 1:
            return False
        self._repeatable -= 1
        return True

    async def _wait(self, attempts: Attempts, seconds: float | None) -> asyncio.Task[HttpResponse] | None:
        """Return an attempt that has finished, without its error, and take it out; None if none does in time."""
        done, _ = await asyncio.wait(attempts, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            return None
        finished = next(filter(_is_available, done), next(iter(done)))
        node = attempts.pop(finished)
        if _is_available(finished):
            self._repeatable = min(MAX_REPEATED, self._repeatable + REPEATED_SHARE)
            self._left_out_at.pop(node.config, None)
            self._pool.mark_live(node)
            # They were asked earlier than the one that has responded, so they stall.
            self._leave_out(attempts.values())
        else:
            self._leave_out([node])
        return finished

    def _candidates(self) -> Iterator[BaseNode]:
        """Yield the servers that have a free connection, those in use first."""
        left = set(self._clients)
        while left:
            node = self._pool.get()
            if node.config not in left:
                node = next(other for other in self._pool.all() if other.config in left)
            left.remove(node.config)
            if not self._clients[node.config].is_full:
                yield node

    def _leave_out(self, nodes: Iterable[BaseNode]) -> None:
        """Leave the servers out for a while; of requests that fail at the same time only the first counts."""
        for node in nodes:
            if monotonic() - self._left_out_at.get(node.config, -BACKOFF_SECONDS) >= BACKOFF_SECONDS:
                self._left_out_at[node.config] = monotonic()
                self._pool.mark_dead(node)
                log.warning("search_server_left_out", host=node.host, port=node.port, servers=len(self._clients))


def _is_available(attempt: asyncio.Task[HttpResponse]) -> bool:
    """Return whether a finished attempt has a response that another server would give, too."""
    if attempt.exception() is not None:
        return False
    response = attempt.result()
    return response.status not in UNAVAILABLE_STATUSES and not (response.status == 400 and CANCELLED in response.body)
