"""HTTP client of several equal servers: the first that responds is used until it fails."""

from collections.abc import Mapping, Sequence

import structlog

from app.backends.http_client import NO_FIELDS, HttpClient, HttpResponse

log = structlog.get_logger()


class FailoverHttpClient:
    """Has the methods of `HttpClient`."""

    def __init__(self, clients: Sequence[HttpClient]) -> None:
        """Use these clients, of one server each."""
        self._clients = clients
        self._current = 0

    @property
    def is_full(self) -> bool:
        return self._clients[self._current].is_full

    async def post(self, target: str, body: bytes, fields: Mapping[str, str] = NO_FIELDS) -> HttpResponse:
        """Send a POST request; if a server cannot be reached or stalls, to the next one, each of them once.

        After a timeout only later requests go to the next server: the caller has waited for long enough.
        Raises: OSError, of which TimeoutError and ServerStalledError are subclasses.
        """
        for _ in self._clients[1:]:
            used = self._current
            try:
                return await self._clients[used].post(target, body, fields)
            except TimeoutError:
                self._leave(used)
                raise
            except OSError:
                self._leave(used)
        return await self._clients[self._current].post(target, body, fields)

    def close(self) -> None:
        """Close the idle connections. Callers must not be waiting any more."""
        for client in self._clients:
            client.close()

    def _leave(self, used: int) -> None:
        """Go on to the next server, unless another request has done so."""
        if self._current == used:
            self._current = (used + 1) % len(self._clients)
            log.warning("search_server_changed", number=self._current + 1, servers=len(self._clients))
