"""A random history of the sync: open transactions, batches and reindexes that stop half-way, go on, or die."""

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

from core.settings import Settings
from indexer.backends import Backends
from indexer.errors import NoPreviousIndexError
from indexer.feed.batch import process_batch
from indexer.index.admin import all_names, live_index
from indexer.rebuild.reindex import reindex
from indexer.rebuild.rollback import rollback
from indexer.rebuild.verify import verify
from tests.conftest import drop_indices, empty
from tests.stateful.breakpoints import AT_THE_SWAP, IN_A_BATCH, READING_AND_WRITING, Running, run_to
from tests.support.factories import CatalogueFactory
from tests.support.sync import assert_in_sync, drain, ignore_progress

Result = TypeVar("Result")

REFUSED = {"55P03", "40P01", "23505"}
"""What Postgres says to a writer that would have to wait for long or for ever, or to take an id that is taken."""

IDS = ["1", "2", "11", "12"]
"""All that a departure can have, with those that a statement changes them to."""

TRUNCATE = "TRUNCATE trip_occurrences CASCADE"
OF_TRIPS = (
    "INSERT INTO trip_occurrences (id, trip_template_id, guide_id, start_date, end_date, spots_left)"
    " VALUES (:trip, :two, 1, DATE '2027-03-01', DATE '2027-03-11', :number)"
    " ON CONFLICT (id) DO UPDATE SET spots_left = :number",
    "UPDATE trip_occurrences SET spots_left = :number",
    "DELETE FROM trip_occurrences WHERE id = :trip",
    TRUNCATE,
)
STATEMENTS = (
    *OF_TRIPS,
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
"""A statement and its values."""


def _with_values(statement: str, trips: int = 2) -> st.SearchStrategy[Change]:
    values = {"trip": st.integers(1, trips), "two": st.integers(1, 2), "number": st.integers(1, 99)}
    used = {name: values[name] for name in values if f":{name}" in statement}
    return st.tuples(st.just(statement), st.fixed_dictionaries(used))


CHANGES = st.one_of(st.sampled_from(OF_TRIPS).flatmap(_with_values), st.sampled_from(STATEMENTS).flatmap(_with_values))
CHANGES_OF_ONE = st.sampled_from(OF_TRIPS).flatmap(lambda statement: _with_values(statement, trips=1))
HASTY = 2
"""The writer who never leaves a transaction open."""


@dataclass(frozen=True)
class Ground:
    """What all histories are played on, one after the other."""

    loop: asyncio.AbstractEventLoop
    settings: Settings
    stores: Backends

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.loop.run_until_complete(asyncio.wait_for(work, 60))


class History(RuleBasedStateMachine):
    def __init__(self, ground: Ground) -> None:
        super().__init__()
        self.ground = ground
        self.run = ground.run
        self.writers: dict[int, AsyncConnection] = {}
        self.batches: list[Running] = []
        self.rebuild: Running | None = None
        self.rebuilt = False
        self.versions: dict[tuple[str, str], int] = {}
        self.run(self._begin())

    async def _begin(self) -> None:
        await empty(self.ground.stores.postgres)
        await drop_indices(self.ground.settings)
        catalogue = CatalogueFactory(self.ground.stores.postgres)
        for _ in range(2):
            await catalogue.template()
        await catalogue.guide()
        await catalogue.tag()
        await reindex(self.ground.settings, ignore_progress)

    @rule(writer=st.integers(0, 1), change=CHANGES)
    def write(self, writer: int, change: Change) -> None:
        self.run(self._write(writer, change))

    @rule(change=CHANGES)
    def write_and_commit(self, change: Change) -> None:
        self.run(self._write_and_commit(change))

    async def _write_and_commit(self, change: Change) -> None:
        await self._write(HASTY, change)
        await self._end_transaction(HASTY, commits=True)

    async def _write(self, writer: int, change: Change) -> None:
        if writer not in self.writers:
            self.writers[writer] = await self.ground.stores.postgres.connect()
            await self.writers[writer].execute(text("SET LOCAL lock_timeout = '50ms'"))
        statement, values = change
        try:
            await self.writers[writer].execute(text(statement), values)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in REFUSED:
                raise
            await self._end_transaction(writer, commits=False)
        if statement == TRUNCATE:
            # Left open, it would keep every reader waiting.
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
        self.run(process_batch(self.ground.stores, retry=retry))
        self.run(self._check_promises())

    @rule(first=CHANGES_OF_ONE, point=st.sampled_from(IN_A_BATCH), second=CHANGES_OF_ONE, dies=st.booleans())
    def overtake(self, first: Change, point: str, second: Change, *, dies: bool) -> None:
        """A batch stops on its way, and a later change is done before it goes on."""
        self.run(self._overtake(first, point, second, dies=dies))
        self.run(self._check_promises())

    async def _overtake(self, first: Change, point: str, second: Change, *, dies: bool) -> None:
        await self._write_and_commit(first)
        overtaken = await run_to(point, process_batch(self.ground.stores, retry=True))
        await self._write_and_commit(second)
        for _ in range(2):
            await process_batch(self.ground.stores, retry=True)
        await overtaken.end(dies=dies)

    @precondition(lambda self: len(self.batches) < 2)
    @rule(point=st.sampled_from(IN_A_BATCH))
    def begin_batch(self, point: str) -> None:
        self.batches.append(self.run(run_to(point, process_batch(self.ground.stores, retry=True))))

    @precondition(lambda self: self.batches)
    @rule(which=st.integers(0, 1), dies=st.booleans())
    def end_batch(self, which: int, *, dies: bool) -> None:
        self.run(self.batches.pop(which % len(self.batches)).end(dies=dies))
        self.run(self._check_promises())

    @precondition(lambda self: not self.batches and self.rebuild is None)
    @rule(point=st.sampled_from(READING_AND_WRITING))
    def begin_reindex(self, point: str) -> None:
        self.rebuilt = True
        self.rebuild = self.run(run_to(point, reindex(self.ground.settings, ignore_progress)))

    @precondition(lambda self: not self.batches and self.rebuild is not None)
    @rule(dies=st.booleans())
    def end_reindex(self, *, dies: bool) -> None:
        assert self.rebuild is not None
        self.run(self.rebuild.end(dies=dies))
        self.rebuild = None

    @precondition(lambda self: not self.batches and self.rebuild is None)
    @rule(point=st.sampled_from(["never", *AT_THE_SWAP]))
    def roll_back(self, point: str) -> None:
        with suppress(NoPreviousIndexError):
            self.run(self._die_at(point, rollback(self.ground.settings)))

    @precondition(lambda self: not self.batches and self.rebuild is None)
    @rule(point=st.sampled_from(AT_THE_SWAP))
    def die_at_the_swap(self, point: str) -> None:
        self.run(self._die_at(point, reindex(self.ground.settings, ignore_progress)))

    async def _die_at(self, point: str, work: Coroutine[Any, Any, object]) -> None:
        self.rebuilt = True
        running = await run_to(point, work)
        await running.end(dies=True)

    async def _check_promises(self) -> None:
        """What the outbox doesn't name is right; no version of a departure ever falls, in any index."""
        await self._refresh()
        assert not (await verify(self.ground.settings, repair=False)).differences
        stores = self.ground.stores
        for name in await all_names(stores.elasticsearch, stores.alias):
            answer = await stores.elasticsearch.mget(index=name, ids=IDS, source=False)
            for found in answer["docs"]:
                if found.get("found"):
                    key = name, found["_id"]
                    assert found["_version"] >= self.versions.get(key, 0), key
                    self.versions[key] = found["_version"]

    async def _refresh(self) -> None:
        """The verifier sees what searches see."""
        await self.ground.stores.elasticsearch.indices.refresh(index=self.ground.stores.alias)

    def teardown(self) -> None:
        self.run(self._end())

    async def _end(self) -> None:
        """Everything that is open ends; then the verifier, and once more when a last rebuild has cleaned up."""
        for writer in list(self.writers):
            await self._end_transaction(writer, commits=True)
        for running in self.batches:
            await running.end(dies=False)
        if self.rebuild is not None:
            await self.rebuild.end(dies=False)
        await drain(self.ground.stores)
        await self._refresh()
        await assert_in_sync(self.ground.settings)
        if not self.rebuilt:
            return
        await reindex(self.ground.settings, ignore_progress)
        await assert_in_sync(self.ground.settings)
        stores = self.ground.stores
        names = await all_names(stores.elasticsearch, stores.alias)
        assert len(names) == 2
        assert await live_index(stores.elasticsearch, stores.alias) == max(names)
