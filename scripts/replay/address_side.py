"""A side of a replay that is a running service: this one, another release of it, or the platform's old backend."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
import orjson

from schemas.api.preferences import Preferences
from scripts.connection_failures import describe_failure
from scripts.replay.searches import encode_search
from scripts.replay.side import Answer

PATH = "/api/v2/recommendations"
HEADERS = {"Content-Type": "application/json"}
TIMEOUT = aiohttp.ClientTimeout(total=15)
MAX_WAITS = 20
"""Times that a search waits for its rate limit."""
WAIT_SECONDS = 5.0
"""Time that it waits where `Retry-After` has no number of seconds."""


class AddressSide:
    def __init__(self, address: str, client: aiohttp.ClientSession) -> None:
        self.name = without_credentials(address)
        self._url = address + PATH
        self._client = client

    async def search(self, preferences: Preferences) -> Answer:
        """Make the search; wait as long as its rate limit says, which does not count as latency."""
        body = encode_search(preferences)
        for _ in range(MAX_WAITS):
            started = time.monotonic()
            try:
                async with self._client.post(self._url, data=body, headers=HEADERS) as response:
                    content = await response.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                return Answer(time.monotonic() - started, problem=describe_failure(error))
            seconds = time.monotonic() - started
            if response.status != 429:
                return parse_answer(response.status, response.headers, content, seconds)
            await asyncio.sleep(_retry_after(response.headers))
        return Answer(seconds, problem="status 429")


def parse_answer(status: int, headers: Mapping[str, str], content: bytes, seconds: float) -> Answer:
    """Return the list of a response, or why there is none; a degraded one shows nothing of the side."""
    if status != 200:
        return Answer(seconds, problem=f"status {status}")
    if "Warning" in headers:
        return Answer(seconds, problem=f"degraded: {headers['Warning']}")
    try:
        found = orjson.loads(content)
        trips = [(int(trip["id"]), float(trip["match_score"])) for trip in found["data"]]
        total = int(found["total_candidates"])
    except (ValueError, KeyError, TypeError):
        return Answer(seconds, problem="a body of another form")
    return Answer(seconds, [id_ for id_, _ in trips], [score for _, score in trips], total)


def without_credentials(address: str) -> str:
    """Return the address without user and password, which reports do not show."""
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _retry_after(headers: Mapping[str, str]) -> float:
    seconds = headers.get("Retry-After", "")
    return float(seconds) if seconds.isascii() and seconds.isdecimal() else WAIT_SECONDS


@asynccontextmanager
async def open_address(address: str) -> AsyncIterator[AddressSide]:
    async with aiohttp.ClientSession(timeout=TIMEOUT) as client:
        yield AddressSide(address, client)
