"""A Hypothesis state machine of the sync: transactions, batches and reindexes that are suspended, resumed or killed."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.errors import NoPreviousIndexError
from indexer.feed.batch import process_batch
from indexer.index.admin import all_names, live_index
from indexer.rebuild.reindex import reindex
from indexer.rebuild.rollback import rollback
from indexer.rebuild.verify import verify
from tests.conftest import drop_indices, empty
from tests.stateful.breakpoints import BATCH_POINTS, REBUILD_POINTS, SWAP_POINTS, SuspendedTask, run_until
from tests.support.factories import CatalogueFactory
from tests.support.sync import assert_in_sync, drain, ignore_progress

Result = TypeVar("Result")

CONFLICTS = {"55P03", "40P01", "23505"}
"""SQLSTATEs of a lock timeout, a deadlock and a unique violation."""

IDS = ["1", "2", "11", "12"]
"""All ids that departures can have."""

TRUNCATE = "TRUNCATE trip_occurrences CASCADE"
DEPARTURE_STATEMENTS = (
    "INSERT INTO trip_occurrences (id, trip_template_id, guide_id, start_date, end_date, spots_left)"
    " VALUES (:trip, :two, 1, DATE '2027-03-01', DATE '2027-03-11', :number)"
    " ON CONFLICT (id) DO UPDATE SET spots_left = :number",
    "UPDATE trip_occurrences SET spots_left = :number",
    "DELETE FROM trip_occurrences WHERE id = :trip",
    TRUNCATE,
)
STATEMENTS = (
    *DEPARTURE_STATEMENTS,
    "UPDATE trip_occurrences SET trip_template_id = :two WHERE id = :trip",
    "UPDATE trip_occurrences SET id = id + 10 WHERE id = :trip",
    "UPDATE trip_templates SET base_price = :number WHERE id = :two",
    "UPDATE trip_templates SET company_id = :two",
    "UPDATE companies SET name = 'Company ' || CAST(:number AS integer) WHERE id = :two",
    "UPDATE guides SET age = :number",
    "INSERT INTO trip_template_tags (trip_template_id, tag_id) VALUES (:two, 1) ON CONFLICT DO NOTHING",
    "DELETE FROM trip_template_tags WHERE trip_template_id = :two",
    "UPDATE tags SET description = 'Text ' || CAST(:number AS integer)",
)

Change = tuple[str, dict[str, int]]
"""A statement and its parameters."""


def _with_values(statement: str, trips: int = 2) -> st.SearchStrategy[Change]:
    values = {"trip": st.integers(1, trips), "two": st.integers(1, 2), "number": st.integers(1, 99)}
    used = {name: values[name] for name in values if f":{name}" in statement}
    return st.tuples(st.just(statement), st.fixed_dictionaries(used))


CHANGES = st.one_of(
    st.sampled_from(DEPARTURE_STATEMENTS).flatmap(_with_values), st.sampled_from(STATEMENTS).flatmap(_with_values)
)
CHANGES_OF_ONE_DEPARTURE = st.sampled_from(DEPARTURE_STATEMENTS).flatmap(
    lambda statement: _with_values(statement, trips=1)
)
COMMITTING_WRITER = 2
"""A writer that commits each of its changes at once."""


@dataclass(frozen=True)
class Environment:
    """Event loop and servers on which all schedules run, one after the other."""

    loop: asyncio.AbstractEventLoop
    settings: Settings
    backends: Backends

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.loop.run_until_complete(asyncio.wait_for(work, 60))


class SyncMachine(RuleBasedStateMachine):
    def __init__(self, environment: Environment) -> None:
        super().__init__()
        self.environment = environment
        self.run = environment.run
        self.writers: dict[int, AsyncConnection] = {}
        self.batches: list[SuspendedTask] = []
        self.rebuild: SuspendedTask | None = None
        self.rebuilt = False
        self.versions: dict[tuple[str, str], int] = {}
        self.run(self._set_up())

    async def _set_up(self) -> None:
        await empty(self.environment.backends.postgres)
        await drop_indices(self.environment.settings)
        catalogue = CatalogueFactory(self.environment.backends.postgres)
        for _ in range(2):
            await catalogue.template()
        await catalogue.guide()
        await catalogue.tag()
        await reindex(self.environment.settings, ignore_progress)

    @rule(writer=st.integers(0, 1), change=CHANGES)
    def write(self, writer: int, change: Change) -> None:
        self.run(self._write(writer, change))

    @rule(change=CHANGES)
    def write_and_commit(self, change: Change) -> None:
        self.run(self._write_and_commit(change))

    async def _write_and_commit(self, change: Change) -> None:
        await self._write(COMMITTING_WRITER, change)
        await self._end_transaction(COMMITTING_WRITER, commits=True)

    async def _write(self, writer: int, change: Change) -> None:
        if writer not in self.writers:
            self.writers[writer] = await self.environment.backends.postgres.connect()
            await self.writers[writer].execute(text("SET LOCAL lock_timeout = '50ms'"))
        statement, values = change
        try:
            await self.writers[writer].execute(text(statement), values)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in CONFLICTS:
                raise
            await self._end_transaction(writer, commits=False)
        if statement == TRUNCATE:
            # Left open, it would block every reader.
            await self._end_transaction(writer, commits=True)

    @rule(writer=st.integers(0, 1), commits=st.sampled_from([True, True, True, False]))
    def end_transaction(self, writer: int, *, commits: bool) -> None:
        self.run(self._end_transaction(writer, commits=commits))

    async def _end_transaction(self, writer: int, *, commits: bool) -> None:
        if connection := self.writers.pop(writer, None):
            if commits:
                await connection.commit()
            await connection.close()

    @rule(retry=st.booleans())
    def batch(self, *, retry: bool) -> None:
        self.run(process_batch(self.environment.backends, retry=retry))
        self.run(self._check_invariants())

    @rule(
        first=CHANGES_OF_ONE_DEPARTURE,
        point=st.sampled_from(BATCH_POINTS),
        second=CHANGES_OF_ONE_DEPARTURE,
        killed=st.booleans(),
    )
    def overtake(self, first: Change, point: str, second: Change, *, killed: bool) -> None:
        """Suspend a batch, and process a later change before the batch is resumed."""
        self.run(self._overtake(first, point, second, killed=killed))
        self.run(self._check_invariants())

    async def _overtake(self, first: Change, point: str, second: Change, *, killed: bool) -> None:
        await self._write_and_commit(first)
        suspended = await run_until(point, process_batch(self.environment.backends, retry=True))
        await self._write_and_commit(second)
        for _ in range(2):
            await process_batch(self.environment.backends, retry=True)
        await suspended.end(killed=killed)

    @precondition(lambda self: len(self.batches) < 2)
    @rule(point=st.sampled_from(BATCH_POINTS))
    def begin_batch(self, point: str) -> None:
        self.batches.append(self.run(run_until(point, process_batch(self.environment.backends, retry=True))))

    @precondition(lambda self: self.batches)
    @rule(which=st.integers(0, 1), killed=st.booleans())
    def end_batch(self, which: int, *, killed: bool) -> None:
        self.run(self.batches.pop(which % len(self.batches)).end(killed=killed))
        self.run(self._check_invariants())

    @precondition(lambda self: not self.batches and self.rebuild is None)
    @rule(point=st.sampled_from(REBUILD_POINTS))
    def begin_reindex(self, point: str) -> None:
        self.rebuilt = True
        self.rebuild = self.run(run_until(point, reindex(self.environment.settings, ignore_progress)))

    @precondition(lambda self: not self.batches and self.rebuild is not None)
    @rule(killed=st.booleans())
    def end_reindex(self, *, killed: bool) -> None:
        assert self.rebuild is not None
        self.run(self.rebuild.end(killed=killed))
        self.rebuild = None

    @precondition(lambda self: not self.batches and self.rebuild is None)
    @rule(point=st.sampled_from(["never", *SWAP_POINTS]))
    def roll_back(self, point: str) -> None:
        with suppress(NoPreviousIndexError):
            self.run(self._kill_at(point, rollback(self.environment.settings)))

    @precondition(lambda self: not self.batches and self.rebuild is None)
    @rule(point=st.sampled_from(SWAP_POINTS))
    def kill_at_the_swap(self, point: str) -> None:
        self.run(self._kill_at(point, reindex(self.environment.settings, ignore_progress)))

    async def _kill_at(self, point: str, work: Coroutine[Any, Any, object]) -> None:
        self.rebuilt = True
        running = await run_until(point, work)
        await running.end(killed=True)

    async def _check_invariants(self) -> None:
        """Check that what the outbox does not name is in sync, and that versions never decrease in any index."""
        await self._refresh()
        assert not (await verify(self.environment.settings, repair=False)).differences
        backends = self.environment.backends
        for name in await all_names(backends.elasticsearch, backends.alias):
            response = await backends.elasticsearch.mget(index=name, ids=IDS, source=False)
            for found in response["docs"]:
                if found.get("found"):
                    key = name, found["_id"]
                    assert found["_version"] >= self.versions.get(key, 0), key
                    self.versions[key] = found["_version"]

    async def _refresh(self) -> None:
        """Make writes visible to the verifier, which sees what searches see."""
        await self.environment.backends.elasticsearch.indices.refresh(index=self.environment.backends.alias)

    def teardown(self) -> None:
        self.run(self._finish())

    async def _finish(self) -> None:
        """End all that is open, and check that the index is in sync, and again after a last reindex has cleaned up."""
        for writer in list(self.writers):
            await self._end_transaction(writer, commits=True)
        for running in self.batches:
            await running.end(killed=False)
        if self.rebuild is not None:
            await self.rebuild.end(killed=False)
        await drain(self.environment.backends)
        await self._refresh()
        await assert_in_sync(self.environment.settings)
        if not self.rebuilt:
            return
        await reindex(self.environment.settings, ignore_progress)
        await assert_in_sync(self.environment.settings)
        backends = self.environment.backends
        names = await all_names(backends.elasticsearch, backends.alias)
        assert len(names) == 2
        assert await live_index(backends.elasticsearch, backends.alias) == max(names)
