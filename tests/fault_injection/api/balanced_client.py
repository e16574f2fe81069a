"""Requests that need every server and secret, to each process that is in the load balancer."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx2

from tests.support.eventually import eventually
from tests.support.http_client import http_client

SEARCH = "/api/v2/recommendations"


@dataclass
class BalancedClient:
    """Counts the rounds of requests that succeed, and collects the others' responses."""

    credentials: Sequence[Mapping[str, str]] = ()
    """Headers of an administrator, each of which must be accepted."""
    urls: list[str] = field(default_factory=list)
    succeeded: int = 0
    failures: list[str] = field(default_factory=list)
    _sent: int = 0
    _under_way: dict[str, int] = field(default_factory=dict)

    async def send_round(self, client: httpx2.AsyncClient) -> None:
        """Send each kind of request to each process; no response can come from a cache."""
        for url in tuple(self.urls):
            self._under_way[url] = self._under_way.get(url, 0) + 1
            try:
                await self._send_to(client, url)
            except httpx2.TransportError as error:
                self.failures.append(repr(error))
            finally:
                self._under_way[url] -= 1
        self.succeeded += not self.failures

    async def _send_to(self, client: httpx2.AsyncClient, url: str) -> None:
        self._sent = number = self._sent + 1
        self._check(await client.get(f"{url}/api/v2/occurrences?limit=1&offset={number}"))
        self._check(await client.post(f"{url}{SEARCH}", json={"budget": 3000 + number}))
        for headers in tuple(self.credentials):
            self._check(await client.get(f"{url}/api/admin/index", headers=headers))

    def _check(self, response: httpx2.Response) -> httpx2.Response:
        if response.status_code != 200:
            self.failures.append(f"{response.request.url}: {response.text}")
        return response

    def add(self, url: str) -> None:
        """Put the process into the load balancer."""
        self.urls.append(url)

    async def remove(self, url: str) -> None:
        """Take the process out of the load balancer, and return when it has no request any more."""
        self.urls.remove(url)
        await eventually(lambda: not self._under_way.get(url), within=60)

    async def wait_for_rounds(self, count: int = 5) -> None:
        """Return once so many more rounds have succeeded, and no process lacks a server.

        Raises: AssertionError if a round fails.
        """
        wanted = self.succeeded + count
        await eventually(lambda: self.succeeded >= wanted or bool(self.failures), within=120)
        assert not self.failures, self.failures[:3]
        for url in self.urls:
            await eventually(lambda of=url: has_every_server(of), within=120)  # type: ignore[misc]


async def has_every_server(url: str) -> bool:
    """Return whether the process reaches every server, also those without which it responds all the same."""
    async with http_client(url, timeout=120) as client:
        health = (await client.get("/api/health")).json()
        found = await client.post(SEARCH, json={"budget": secrets.randbelow(1_000_000)})
    return health["status"] == "healthy" and "warning" not in found.headers


@asynccontextmanager
async def requesting(*credentials: Mapping[str, str]) -> AsyncIterator[BalancedClient]:
    """Send requests throughout the block."""
    balanced, ending = BalancedClient(credentials), asyncio.Event()

    async def repeat() -> None:
        async with http_client("", timeout=120) as client:
            while not ending.is_set():
                await balanced.send_round(client)
                await asyncio.sleep(0.02)

    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(repeat())
        try:
            yield balanced
        finally:
            ending.set()
