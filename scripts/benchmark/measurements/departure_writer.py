"""Changes of departures at a steady rate, and the time until responses show some of them."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, TypeAlias

import asyncpg
import orjson

from app.backends.http_client import HttpConnection
from scripts.benchmark.load.open_loop import due_times
from scripts.benchmark.load.raw_request import RawRequest
from scripts.errors import CliError

STATEMENTS = (
    *["UPDATE trip_occurrences SET spots_left = 1 + $2 % 12 WHERE id = $1"] * 7,
    *["UPDATE trip_occurrences SET price_override = 1000 + 10 * ($2 % 900) WHERE id = $1"] * 2,
    "UPDATE trip_occurrences SET status = (ARRAY['Open', 'Guaranteed', 'Last Places', 'Full'])[1 + $2 % 4]"
    " WHERE id = $1",
)
"""Bookings, prices and states, as often as each occurs among changes."""
MARKS = 1_000_000
"""First of the numbers of spots by which the changes of a probe are recognised."""
PROBE_SECONDS = 0.05
"""Seconds between two looks at a response: measured times are up to this much too long."""
TIMEOUT_SECONDS = 10.0
ENDLESS = 10**9

Database: TypeAlias = "asyncpg.Connection[Any]"


@asynccontextmanager
async def open_writer(url: str, departures: int) -> AsyncIterator["DepartureWriter"]:
    connections = await asyncpg.connect(url), await asyncpg.connect(url)
    try:
        yield DepartureWriter(*connections, departures)
    finally:
        for connection in connections:
            await connection.close()


class DepartureWriter:
    def __init__(self, database: Database, probe: Database, departures: int) -> None:
        self._database = database
        self._probe = probe
        self._departures = departures
        self._probed = 0
        """Departure that is changed by the probe alone."""
        # Not seeded: what an earlier run has written would change nothing.
        self._choose = random.Random()
        self.changes = 0
        """Changes that were committed, without those of the probe."""

    async def run(self, rate: float) -> None:
        """Change `rate` departures a second until cancelled."""
        if not rate:
            return
        async for _ in due_times(rate, ENDLESS):
            departure = self._choose.randint(1, self._departures)
            if departure != self._probed:
                await self._database.execute(self._choose.choice(STATEMENTS), departure, self._choose.randrange(10_000))
                self.changes += 1

    async def measure_lags(self, search: RawRequest, seconds: float) -> list[float]:
        """Change departures that the search shows; return the seconds from each commit until a response shows it."""
        connection = await HttpConnection.open(search.host, search.port)
        lags: list[float] = []
        end = time.monotonic() + seconds
        for mark in count(MARKS):
            if time.monotonic() > end:
                break
            shown = [*await _shown(connection, search)]
            if not shown:
                await asyncio.sleep(PROBE_SECONDS)
                continue
            self._probed = self._choose.choice(shown)
            await self._probe.execute("UPDATE trip_occurrences SET spots_left = $2 WHERE id = $1", self._probed, mark)
            committed = time.monotonic()
            while spots := (await _shown(connection, search)).get(self._probed):
                # Other changes may have taken the departure off the list; an overload ends the probe as well.
                if spots == mark:
                    lags.append(time.monotonic() - committed)
                    break
                if time.monotonic() > committed + TIMEOUT_SECONDS:
                    raise CliError(f"No response shows the change of departure {self._probed}.")
                await asyncio.sleep(PROBE_SECONDS)
        connection.abort()
        return lags


async def _shown(connection: HttpConnection, search: RawRequest) -> dict[int, int]:
    """Return the spots of the departures that the search shows, by id."""
    response = await connection.send(search.raw)
    # Nothing is shown under overload.
    return {trip["id"]: trip["spotsLeft"] for trip in orjson.loads(response.body).get("data", ())}
