"""The load of a drill: searches whose rankings are known, changes of prices that they have to show, and events."""

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import orjson

from core.concurrency.tasks import cancel_and_wait, task_group
from schemas.enums import Continent
from scripts.benchmark.load.open_loop import due_times
from scripts.dev_stack.wait import wait_until
from scripts.drill.load_generator import TIMEOUT as LOAD_TIMEOUT
from scripts.drill.load_generator import LoadClient, Outcome, Request, percentile, visitor
from scripts.drill.prices import Prices
from scripts.errors import CliError
from scripts.walkthrough.client import SEARCH_PATH

RESOURCE_PATH = "/api/tags"
RATES = (30.0, 20.0, 10.0, 5.0)
"""Searches per second, of which the highest is taken that leaves the machine room for what a fault costs."""
HEADROOM = 1.5
"""How many times as many searches the machine has to serve without faults."""
CHANGES_PER_SEARCH = 5 / 3
OTHERS_PER_SEARCH = 1 / 6
"""Events, and requests for reference data."""
RETRY_SECONDS = 0.2
"""Pause before a writer connects again."""
FOREVER = 2**31
STEADY_SECONDS = 5.0
STEADY_CHECKS = 6
STEADY_P99 = 0.3
SECONDS_TO_WARM_UP = 120
SECONDS_TO_SETTLE = 2 * (LOAD_TIMEOUT.total or 0)
WARM_SECONDS = 0.1
WARM_IN_A_ROW = 20
BUDGET = 1_000_000
"""Above all prices: a change of a price does not change a ranking."""
PREFERENCES: tuple[dict[str, Any], ...] = tuple(
    {"selected_continents": [continent], "difficulty": difficulty}
    for continent, difficulty in itertools.product(list(Continent)[:5], (1, 2, 3))
)

Ranking = tuple[int, ...]


@dataclass(frozen=True)
class Observation:
    """A request, and what is wrong with its response."""

    outcome: Outcome
    wrong: bool = False
    stale_seconds: float = 0.0
    """Age of the oldest change that a search should have shown and did not."""


@dataclass
class Traffic:
    load: LoadClient
    database_url: str
    rate: float
    """Searches per second."""
    rankings: list[Ranking]
    """Departures that a search with the preferences of the same position finds, best first."""
    resource: bytes
    """The reference data that is asked for, which nobody changes."""
    prices: Prices
    observations: list[Observation] = field(default_factory=list)
    accepted_events: set[str] = field(default_factory=set)
    """Session ids of the events that were accepted, each of a session of its own."""
    failed_changes: int = 0
    _unanswered: Counter[float] = field(default_factory=Counter)
    """When the requests that have no response yet were due."""
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def search(self, due: float) -> None:
        number = next(self._numbers)
        chosen = number % len(PREFERENCES)
        # No two are alike, or caches would respond.
        preferences = {**PREFERENCES[chosen], "budget": BUDGET + number}
        sent = time.monotonic()
        outcome = await self._send(Request("search", "POST", SEARCH_PATH, preferences), due)
        self.observations.append(self._observe_search(outcome, self.rankings[chosen], sent))

    async def send_event(self, due: float) -> None:
        event = visitor(event_type="page_view")
        outcome = await self._send(Request("event", "POST", "/api/events", event), due)
        if outcome.succeeded:
            self.accepted_events.add(event["session_id"])
        self.observations.append(Observation(outcome))

    async def get_resource(self, due: float) -> None:
        outcome = await self._send(Request("resource", "GET", RESOURCE_PATH), due)
        self.observations.append(Observation(outcome, outcome.succeeded and outcome.body != self.resource))

    async def _send(self, request: Request, due: float) -> Outcome:
        self._unanswered[due] += 1
        try:
            return await self.load.send(request, due)
        finally:
            self._unanswered[due] -= 1

    async def settle(self) -> None:
        """Return once all requests that are due by now have a response, or none in time. Raises: CliError."""
        now = time.monotonic()

        async def are_answered() -> bool:
            self._unanswered = +self._unanswered
            return all(due > now for due in self._unanswered)

        await wait_until(are_answered, SECONDS_TO_SETTLE, "responses to all requests")

    async def change_prices(self) -> None:
        """Change one of the departures that searches find after another, until cancelled."""
        changed = itertools.cycle(sorted(set(itertools.chain(*self.rankings))))
        times = due_times(self.rate * CHANGES_PER_SEARCH, FOREVER, time.monotonic)
        while True:
            try:
                connection = await asyncpg.connect(self.database_url, timeout=5, command_timeout=5)
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(RETRY_SECONDS)
                continue
            try:
                async for _ in times:
                    await self.prices.change(connection, next(changed))
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                self.failed_changes += 1
            finally:
                connection.terminate()

    async def is_steady(self) -> bool:
        """Return whether searches are fast: after a while, as servers that have just started are not."""
        for _ in range(STEADY_CHECKS):
            before = len(self.observations)
            await asyncio.sleep(STEADY_SECONDS)
            outcomes = [observation.outcome for observation in self.observations[before:]]
            if all(outcome.succeeded for outcome in outcomes) and percentile(outcomes, 0.99) < STEADY_P99:
                return True
        return False

    def _observe_search(self, outcome: Outcome, ranking: Ranking, sent: float) -> Observation:
        if outcome.status != 200:
            return Observation(outcome)
        found = orjson.loads(outcome.body)["data"]
        is_known = all(self.prices.is_known(trip["id"], trip["effectivePrice"]) for trip in found)
        stale = max((self.prices.stale_seconds(trip["id"], trip["effectivePrice"], sent) for trip in found), default=0)
        return Observation(outcome, tuple(trip["id"] for trip in found) != ranking or not is_known, stale)


async def find_rate(load: LoadClient, database_url: str, prices: Prices) -> float:
    """Return the highest of RATES for which the machine has room. Raises: CliError if there is none."""
    for rate in RATES:
        async with running_traffic(load, database_url, rate * HEADROOM, prices, events=False) as traffic:
            if await traffic.is_steady():
                return rate
    raise CliError("This machine has too little processor time for a drill: searches are slow without faults.")


@asynccontextmanager
async def running_traffic(
    load: LoadClient, database_url: str, rate: float, prices: Prices, *, events: bool = True
) -> AsyncIterator[Traffic]:
    """Send `rate` searches a second, events and requests for reference data, and change prices, during the block.

    `prices` are those of all traffic before, too. Raises: CliError.
    """
    await _warm_up(load)
    rankings = await _rankings(load, prices)
    resource = await load.send(Request("resource", "GET", RESOURCE_PATH))
    traffic = Traffic(load, database_url, rate, rankings, resource.body, prices)
    others = rate * OTHERS_PER_SEARCH
    rates: dict[Callable[[float], Coroutine[Any, Any, None]], float] = {
        traffic.search: rate,
        traffic.get_resource: others,
    }
    if events:
        rates[traffic.send_event] = others
    tasks = [asyncio.create_task(_repeat(send, each)) for send, each in rates.items()]
    tasks.append(asyncio.create_task(traffic.change_prices()))
    try:
        yield traffic
    finally:
        for task in tasks:
            if task.done():
                await task
        await cancel_and_wait(tasks)


async def _repeat(send: Callable[[float], Coroutine[Any, Any, None]], rate: float) -> None:
    """Call `send` so many times a second, whatever becomes of the responses, until cancelled."""
    async with task_group() as group:
        async for due in due_times(rate, FOREVER, time.monotonic):
            group.create_task(send(due))


async def _warm_up(load: LoadClient) -> None:
    """Search one after the other until that is fast. Raises: CliError."""
    numbers = itertools.count(random.randrange(BUDGET // 2))

    async def is_warm() -> bool:
        for _ in range(WARM_IN_A_ROW):
            number = next(numbers)
            preferences = {**PREFERENCES[number % len(PREFERENCES)], "budget": BUDGET - 1 - number}
            outcome = await load.send(Request("search", "POST", SEARCH_PATH, preferences))
            if not outcome.succeeded or outcome.seconds > WARM_SECONDS:
                return False
        return True

    await wait_until(is_warm, SECONDS_TO_WARM_UP, "fast searches")


async def _rankings(load: LoadClient, prices: Prices) -> list[Ranking]:
    """Return what searches find, of a system without faults, and note the prices. Raises: CliError."""
    found: list[Ranking] = []

    async def is_whole() -> bool:
        for preferences in PREFERENCES[len(found) :]:
            outcome = await load.send(Request("search", "POST", SEARCH_PATH, {**preferences, "budget": BUDGET}))
            if outcome.status != 200 or outcome.degraded:
                return False
            trips = orjson.loads(outcome.body)["data"]
            found.append(tuple(trip["id"] for trip in trips))
            for trip in trips:
                prices.note_first(trip["id"], trip["effectivePrice"])
        return True

    await wait_until(is_whole, SECONDS_TO_WARM_UP, "searches that are not degraded")
    return found
