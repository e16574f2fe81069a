"""While departures change, two API processes answer as one of the states of the last seconds would, and in the end as
the last one."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from app.backends.factory import database as open_database
from app.repositories.lookups import load_lookups
from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.documents.builder import build_documents
from indexer.documents.rows import snapshot
from schemas.index_document import decode_document
from schemas.tables import TripOccurrence
from scoring.context import SearchLookups
from tests.conftest import TODAY
from tests.fault_injection.worker.conftest import SyncFixture
from tests.fault_injection.worker.worker_process import worker_task
from tests.scoring import reference
from tests.scoring.reference import ReferencePreferences, World
from tests.scoring.strategies import body
from tests.support.api.serving import serving
from tests.support.eventually import eventually
from tests.support.sync import execute

SEARCHES = (
    ReferencePreferences(),
    ReferencePreferences(difficulty=2),
    ReferencePreferences(budget=Decimal(5000)),
    ReferencePreferences(themes=frozenset((1, 2, 3))),
    ReferencePreferences(continents=frozenset(("Asia", "Europe"))),
    ReferencePreferences(shortest=5, longest=12, budget=Decimal(9000), difficulty=3),
    ReferencePreferences(year=TODAY.year + 1, themes=frozenset((4, 5))),
)
CHANGES = (
    "spots_left = $1",
    "price_override = 1500 * $1 + 999",
    "start_date = start_date - $1",
    "end_date = end_date + $1",
    "status = (ARRAY['Open', 'Guaranteed', 'Last Places', 'Full', 'Cancelled'])[1 + $1]",
)
STATEMENTS = [
    f"UPDATE trip_occurrences SET {change.replace('$1', 'CAST(:value AS int)')} WHERE id = :id" for change in CHANGES
]
SECONDS = 15.0
PAUSE = 0.1
"""Seconds between two changes."""
OUTDATED_SECONDS = 5.0
"""How old the state may be that a response shows; 2 s are promised for 99 %, on a machine that does nothing else."""

Found = tuple[list[tuple[int, int]], int]
"""Ids and scores of the primary results, and the number of candidates: what one search has found."""


@dataclass
class Response:
    search: int
    asked_at: float
    answered_at: float
    found: Found


@dataclass
class History:
    """States of the catalogue, each with the time of its commit."""

    states: list[tuple[float, World]] = field(default_factory=list)
    _recommended: dict[tuple[int, int], Found] = field(default_factory=dict)

    def may_be(self, response: Response) -> bool:
        """Return whether a state is what the response shows that was the last one not too long ago."""
        ends = [committed for committed, _ in self.states[1:]] + [float("inf")]
        return any(
            self._recommend(number, response.search) == response.found
            for number, ((committed, _), end) in enumerate(zip(self.states, ends, strict=True))
            if committed <= response.answered_at and end >= response.asked_at - OUTDATED_SECONDS
        )

    def _recommend(self, state: int, search: int) -> Found:
        if (state, search) not in self._recommended:
            shown, total = reference.recommend(SEARCHES[search], self.states[state][1])
            self._recommended[state, search] = ([(trip.id, trip.score) for trip in shown if not trip.is_relaxed], total)
        return self._recommended[state, search]


async def state_of(backends: Backends, lookups: SearchLookups) -> World:
    async with snapshot(backends.postgres) as connection:
        ids = list(await connection.scalars(select(TripOccurrence.id)))
        documents = (await build_documents(connection, ids)).documents.values()
    decoded = [decode_document(document) for document in documents]
    return World("now", TODAY, lookups.private_type_id, dict(lookups.continents), decoded)


async def ask(api: httpx2.AsyncClient, search: int) -> Response:
    asked_at = time.monotonic()
    response = await api.post("/api/v2/recommendations", json=body(SEARCHES[search], as_text=False))
    assert response.status_code == 200, response.text
    answer: Any = response.json()
    shown = [(trip["id"], trip["match_score"]) for trip in answer["data"] if not trip["is_relaxed"]]
    return Response(search, asked_at, time.monotonic(), (shown, answer["total_candidates"]))


@asynccontextmanager
async def two_processes(settings: Settings) -> AsyncIterator[Sequence[httpx2.AsyncClient]]:
    unlimited = settings.model_copy(update={"rate_limit_enabled": False})
    async with serving(unlimited) as one, serving(unlimited) as other:
        yield one, other


@pytest.mark.slow
async def test_responses_show_a_state_of_the_last_seconds(sync: SyncFixture) -> None:
    database, choose, history, responses = open_database(sync.settings), random.Random(11), History(), list[Response]()
    async with database.read() as session:
        lookups = await load_lookups(session)
    async with worker_task(sync.settings), two_processes(sync.settings) as apis:
        await sync.wait_until_in_sync()
        history.states.append((time.monotonic(), await state_of(sync.backends, lookups)))
        end = time.monotonic() + SECONDS

        async def write() -> None:
            while time.monotonic() < end:
                changed = choose.choice(history.states[-1][1].documents).id
                statement, value = choose.choice(STATEMENTS), choose.randrange(5)
                await execute(sync.backends.postgres, statement, id=changed, value=value)
                history.states.append((time.monotonic(), await state_of(sync.backends, lookups)))
                await asyncio.sleep(PAUSE)

        async def read(api: httpx2.AsyncClient) -> None:
            while time.monotonic() < end:
                responses.append(await ask(api, choose.randrange(len(SEARCHES))))
                await asyncio.sleep(PAUSE / 10)

        await asyncio.gather(write(), *map(read, apis))

        async def show_the_last_state() -> bool:
            last = History([(0.0, history.states[-1][1])])
            return all([last.may_be(await ask(api, search)) for api in apis for search in range(len(SEARCHES))])

        await eventually(show_the_last_state)
    await database.close()
    assert [response for response in responses if not history.may_be(response)] == []
