"""A Hypothesis state machine of several workers and the caches that they tell what changed."""

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from itertools import product
from typing import Any, TypeVar

import httpx2
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from redis.asyncio import Redis

from app.backends.factory import database as open_database
from app.repositories.lookups import load_lookups
from core import clients
from core.configuration.settings import Settings
from indexer.backends import Backends, open_backends
from indexer.feed import changed_departures
from indexer.feed.batch import BatchResult, process_batch
from indexer.feed.notifier import ChangeNotifier
from indexer.index import bulk_writer
from indexer.rebuild.reindex import reindex
from schemas.index_document import TripDocument, decode_document
from scoring.context import SearchLookups
from tests.conftest import TODAY, drop_indices, empty
from tests.scoring import reference
from tests.scoring.reference import ReferencePreferences, World
from tests.scoring.strategies import body
from tests.stateful.breakpoints import BATCH_POINTS, SuspendedTask, run_until
from tests.support.api.serving import serving
from tests.support.eventually import eventually
from tests.support.factories import START, CatalogueFactory
from tests.support.sync import drain, execute, ignore_progress

Result = TypeVar("Result")

SEARCHES = (ReferencePreferences(), ReferencePreferences(budget=Decimal(3000)), ReferencePreferences(month=START.month))
OTHERS = 32
"""Departures that never change, and fill the lists: whether another one is a candidate shows in the number alone."""
CHANGED = (1, 2)
"""Ids of those that change."""
WORKERS = 3
LATE = START + timedelta(2)
"""Start of departures that are candidates, and that lists are too full to show."""
UNSEEN = "UPDATE trip_occurrences SET status = 'Full' WHERE id = :id"
SAME = "UPDATE trip_occurrences SET spots_left = spots_left + 1 WHERE id = :id"
RESET = (
    "INSERT INTO trip_occurrences (id, trip_template_id, start_date, end_date, spots_left)"
    f" VALUES (:id, 1, '{LATE}', '{LATE}', 5) ON CONFLICT (id) DO NOTHING",
    "UPDATE trip_occurrences SET status = 'Open' WHERE id = :id",
    "UPDATE trip_occurrences SET price_override = 2500 WHERE id = :id",
    f"UPDATE trip_occurrences SET start_date = '{LATE}' WHERE id = :id",
)
CHANGES = (
    *RESET,
    UNSEEN,
    SAME,
    "UPDATE trip_occurrences SET price_override = 9000 WHERE id = :id",
    f"UPDATE trip_occurrences SET start_date = '{START - timedelta(2)}' WHERE id = :id",
    "DELETE FROM trip_occurrences WHERE id = :id",
    # These alone change the number of candidates and nothing that is shown; often, since the others change both.
    UNSEEN,
    SAME,
    UNSEEN,
    SAME,
)

Found = tuple[list[int], int]
"""Ids of the primary results, and the number of candidates."""
Write = tuple[int, Collection[int]]
"""Version and departures of a write to the index."""

_WRITES: ContextVar[list[Write] | None] = ContextVar("writes", default=None)
_IS_TOLD: ContextVar[bool] = ContextVar("is_told", default=True)
"""Whether the index tells what it has, so that the changes can be listed."""


@dataclass
class IndexHistory:
    """The states that the index has had of each departure, and from which one on caches have to know them."""

    documents: dict[int, list[tuple[int, TripDocument | None]]] = field(default_factory=dict)
    known: dict[int, int] = field(default_factory=dict)

    def add(self, version: int, changes: Mapping[int, bytes | None]) -> None:
        for trip_id, document in changes.items():
            states = self.documents.setdefault(trip_id, [])
            if not states or version >= states[-1][0]:
                states.append((version, None if document is None else decode_document(document)))

    def publish(self, version: int, trip_ids: Collection[int]) -> None:
        """Take note of the publication of a write: no state before it may be shown any more."""
        for trip_id in trip_ids:
            first = next(n for n, (written, _) in enumerate(self.documents[trip_id]) if written >= version)
            self.known[trip_id] = max(self.known.get(trip_id, 0), first)

    def publish_everything(self) -> None:
        self.known = {trip_id: len(states) - 1 for trip_id, states in self.documents.items()}

    def worlds(self, lookups: SearchLookups) -> Iterator[World]:
        """Yield all combinations of states that may be shown."""
        shown = [[state for _, state in states[self.known.get(id_, 0) :]] for id_, states in self.documents.items()]
        for states in product(*shown):
            present = [state for state in states if state is not None]
            yield World("possible", TODAY, lookups.private_type_id, dict(lookups.continents), present)


@dataclass
class Worker:
    notifier: ChangeNotifier
    written: list[Write] = field(default_factory=list)
    """What it has committed and not published."""


@dataclass
class Environment:
    """Servers, and two API processes, on which all schedules run one after the other."""

    settings: Settings
    backends: Backends
    redis: Redis
    apis: Sequence[httpx2.AsyncClient]
    lookups: SearchLookups
    history: IndexHistory

    async def process(self, worker: Worker, *, is_told: bool = True) -> BatchResult:
        """Process a batch as the worker does."""
        notifier, writes = worker.notifier, list[Write]()
        _WRITES.set(writes)
        _IS_TOLD.set(is_told)

        def record(batch: BatchResult) -> None:
            notifier.record(batch)
            done = {row.row_id for row in batch.done if row.row_id is not None}
            worker.written += [(version, done.intersection(ids)) for version, ids in writes]

        await notifier.register()
        return await process_batch(
            self.backends,
            retry=True,
            publisher=notifier.publisher,
            since=notifier.generation,
            before_commit=record,
        )

    async def are_right(self) -> bool:
        """Return whether each process answers each search as one of the possible worlds would."""
        worlds = [*self.history.worlds(self.lookups)]
        for api, search in product(self.apis, SEARCHES):
            found = await ask(api, search)
            if not any(_recommend(search, world) == found for world in worlds):
                return False
        return True


def record_writes(patch: pytest.MonkeyPatch, history: IndexHistory) -> None:
    write, read_before = bulk_writer.write, changed_departures.read_before

    async def reading(*arguments: Any) -> Any:
        return await read_before(*arguments) if _IS_TOLD.get() else None

    async def recording(es: Any, names: Any, version: int, changes: Mapping[int, Any], *arguments: Any) -> Any:
        outcomes = await write(es, names, version, changes, *arguments)
        history.add(version, changes)
        if (writes := _WRITES.get()) is not None and changes:
            writes.append((version, changes.keys()))
        return outcomes

    patch.setattr(bulk_writer, "write", recording)
    patch.setattr(changed_departures, "read_before", reading)


async def ask(api: httpx2.AsyncClient, search: ReferencePreferences) -> Found:
    response = await api.post("/api/v2/recommendations", json=body(search, as_text=False))
    assert response.status_code == 200, response.text
    answer = response.json()
    return [trip["id"] for trip in answer["data"] if not trip["is_relaxed"]], answer["total_candidates"]


def _recommend(search: ReferencePreferences, world: World) -> Found:
    shown, total = reference.recommend(search, world)
    return [trip.id for trip in shown if not trip.is_relaxed], total


@asynccontextmanager
async def open_environment(settings: Settings, history: IndexHistory) -> AsyncIterator[Environment]:
    unlimited = settings.model_copy(update={"rate_limit_enabled": False})
    async with open_backends(settings) as backends, clients.redis(settings.redis_url, timeout=5) as redis:
        await empty(backends.postgres)
        await drop_indices(settings)
        await redis.flushdb()
        await reindex(settings, ignore_progress)
        catalogue = CatalogueFactory(backends.postgres)
        template = await catalogue.template()
        for number in (*CHANGED, *range(100, 100 + OTHERS)):
            await catalogue.occurrence(id=number, trip_template_id=template)
        await drain(backends)
        await backends.elasticsearch.indices.refresh(index=backends.alias)
        database = open_database(settings)
        async with database.read() as session:
            lookups = await load_lookups(session)
        await database.close()
        async with serving(unlimited) as one, serving(unlimited) as other:
            yield Environment(settings, backends, redis, (one, other), lookups, history)


class CacheMachine(RuleBasedStateMachine):
    def __init__(self, loop: asyncio.AbstractEventLoop, environment: Environment) -> None:
        super().__init__()
        self.loop = loop
        self.environment = environment
        self.history = environment.history
        self.killed: list[Worker] = []
        self.suspended: list[tuple[Worker, SuspendedTask]] = []
        self.run(self._set_up())

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.loop.run_until_complete(asyncio.wait_for(work, 60))

    async def _set_up(self) -> None:
        """Bring departures, index and caches into their first state."""
        backends = self.environment.backends
        self.workers = [Worker(ChangeNotifier(backends, self.environment.redis)) for _ in range(WORKERS)]
        for statement, trip_id in product(RESET, CHANGED):
            await execute(backends.postgres, statement, id=trip_id)
        await drain(backends)
        await execute(backends.postgres, "DELETE FROM smarttrip.publishers")
        await backends.elasticsearch.indices.refresh(index=backends.alias)
        for worker in self.workers:
            await worker.notifier.register()
            assert await worker.notifier.flush()
        self.history.publish_everything()
        await self._check()

    @rule(change=st.sampled_from(CHANGES), trip_id=st.sampled_from(CHANGED))
    def write(self, change: str, trip_id: int) -> None:
        self.run(execute(self.environment.backends.postgres, change, id=trip_id))

    @rule(number=st.integers(0, WORKERS - 1), is_told=st.booleans())
    def process(self, number: int, *, is_told: bool) -> None:
        self.run(self.environment.process(self._worker(number), is_told=is_told))

    @rule(number=st.integers(0, WORKERS - 1))
    def publish(self, number: int) -> None:
        self.run(self._publish(self._worker(number)))

    @rule(
        changes=st.lists(st.sampled_from(CHANGES), min_size=2, max_size=WORKERS),
        trip_id=st.sampled_from(CHANGED),
        is_told=st.booleans(),
        kills=st.booleans(),
    )
    def overtake(self, changes: list[str], trip_id: int, *, is_told: bool, kills: bool) -> None:
        """Have changes of a departure processed by a worker each, of which the last one alone publishes."""
        for number, change in enumerate(changes):
            self.write(change, trip_id)
            self.process(number, is_told=is_told or number > 0)
        self.publish(len(changes) - 1)
        if kills and len(self.workers) > 1:
            self.kill(0)

    @precondition(lambda self: len(self.suspended) < 2)
    @rule(number=st.integers(0, WORKERS - 1), point=st.sampled_from(BATCH_POINTS))
    def begin(self, number: int, point: str) -> None:
        worker = self._worker(number)
        self.suspended.append((worker, self.run(run_until(point, self.environment.process(worker)))))

    @precondition(lambda self: self.suspended)
    @rule(which=st.integers(0, 1), killed=st.booleans())
    def end(self, which: int, *, killed: bool) -> None:
        worker, batch = self.suspended.pop(which % len(self.suspended))
        self.run(batch.end(killed=killed or worker not in self.workers))
        if killed and worker in self.workers and len(self.workers) > 1:
            self._remove(worker)

    @precondition(lambda self: len(self.workers) > 1)
    @rule(number=st.integers(0, WORKERS - 1))
    def kill(self, number: int) -> None:
        """Kill a worker that has committed changes, and may not have published them."""
        self._remove(self._worker(number))

    @precondition(lambda self: self.killed)
    @rule()
    def take_over(self) -> None:
        self.run(self._take_over())

    @rule()
    def search(self) -> None:
        """Cache what the index has by now."""
        self.run(self.environment.are_right())

    @rule()
    def refresh(self) -> None:
        self.run(self._refresh())

    @rule()
    def lose_redis(self) -> None:
        self.run(self._lose_redis())

    async def _lose_redis(self) -> None:
        await self.environment.redis.flushdb()

    def _worker(self, number: int) -> Worker:
        return self.workers[number % len(self.workers)]

    def _remove(self, worker: Worker) -> None:
        self.workers.remove(worker)
        self.killed.append(worker)

    async def _publish(self, worker: Worker) -> None:
        assert await worker.notifier.flush()
        for version, trip_ids in worker.written:
            self.history.publish(version, trip_ids)
        worker.written.clear()
        await self._check()

    async def _take_over(self) -> None:
        backends = self.environment.backends
        gone = "UPDATE smarttrip.publishers SET renewed_at = '-infinity' WHERE id = :id"
        for worker in self.killed:
            await execute(backends.postgres, gone, id=worker.notifier.publisher)
        self.killed.clear()
        await self._refresh()
        await self.workers[0].notifier.take_over()
        await self._publish(self.workers[0])
        self.history.publish_everything()
        await self._check()

    async def _refresh(self) -> None:
        await self.environment.backends.elasticsearch.indices.refresh(index=self.environment.backends.alias)

    async def _check(self) -> None:
        await eventually(self.environment.are_right, within=5)

    def teardown(self) -> None:
        self.run(self._finish())

    async def _finish(self) -> None:
        """End all that is open: each process then answers as the index would."""
        for worker, batch in self.suspended:
            await batch.end(killed=worker not in self.workers)
        while (await self.environment.process(self.workers[0])).claimed:
            pass
        for worker in self.workers:
            await self._publish(worker)
        await self._take_over()
