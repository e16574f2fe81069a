"""Elasticsearch's CPU time for a search: the service's own searches, and those of the raw reference, in turns.

Both are sent by one client, one after the other, without the API and without Elasticsearch's request cache. Documents
are made without a database.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from statistics import fmean, median

import orjson
from rich.table import Table

from app.backends.http_client import NO_FIELDS, HttpResponse
from app.recommendations.engine import find_recommendations
from app.recommendations.trip_search.elasticsearch import ElasticsearchTripSearch, search_path
from app.recommendations.trip_search.elasticsearch_responses import HITS
from app.recommendations.trip_search.interface import SearchHits, TripSearch
from schemas.api.preferences import Preferences
from scoring.context import SearchContext
from scoring.predicates import Condition
from scoring.rules import RuleGroup
from scripts.benchmark.baselines.raw_reference import reference_search
from scripts.benchmark.comparison.bench import SEED
from scripts.benchmark.comparison.suite import BUSY, TODAY, Report
from scripts.benchmark.load.workload import searches
from scripts.benchmark.processes import thread_cpu_seconds
from scripts.benchmark.sharding.documents import BlockFile, ids, lookups, write_documents
from scripts.benchmark.sharding.layouts import ONE_SHARD
from scripts.benchmark.sharding.loading import SECONDS, loaded
from scripts.benchmark.sharding.searching import PatientClient, RankedList, ranked_list
from scripts.dev_stack import manager
from scripts.dev_stack.context import running_stack

WARM_UP_SEARCHES = 1500
"""Of each side: they take several times as long, as the JVM still compiles."""
NOT_SEARCHING = ("C1 Comp", "C2 Comp", "GC Thread", "G1 ", "VM ")
"""Beginnings of the names of the JVM's threads that compile, and collect garbage."""

Cpu = Callable[[], float]
"""Returns the CPU seconds that Elasticsearch's other threads have used so far."""


@dataclass(frozen=True)
class SearchCost:
    departures: int
    candidates: float
    """Of a search, on average."""
    reference_requests: float
    """To Elasticsearch for each search: relaxed ones are further requests."""
    requests: float
    """The same of the service, which makes some searches again."""
    reference_ms: float
    """CPU milliseconds for each search, median of the turns."""
    service_ms: float
    ratios: Sequence[float]
    """Of neighbouring turns."""
    differing: int
    """Lists of the service that are not those of the reference."""


class CountingClient(PatientClient):
    requests = 0

    async def post(self, target: str, body: bytes, fields: Mapping[str, str] = NO_FIELDS) -> HttpResponse:
        self.requests += 1
        return await super().post(target, body, fields)


class ReferenceSearch:
    """A trip search with the bodies of the raw reference."""

    def __init__(self, client: PatientClient, index: str) -> None:
        self._client = client
        self._path = search_path(index, cached=False)

    async def find(self, condition: Condition, rules: Sequence[RuleGroup], size: int) -> SearchHits:
        body = orjson.dumps(reference_search(condition, rules, size))
        hits = HITS.decode((await self._client.post(self._path, body)).body).hits
        return SearchHits(hits.total.value, [hit.source for hit in hits.hits])


@dataclass
class Side:
    """What searches are made with, and what they cost so far."""

    trips: TripSearch
    client: CountingClient
    cpu: Cpu
    turns_ms: list[float] = field(default_factory=list)

    async def turn(self, contexts: Sequence[SearchContext]) -> list[RankedList]:
        before = self.cpu()
        lists = [ranked_list(await find_recommendations(self.trips, context)) for context in contexts]
        self.turns_ms.append((self.cpu() - before) / len(contexts) * 1000)
        return lists


def measure(data: Path, sizes: Sequence[int], count: int, rounds: int, report: Report) -> list[SearchCost]:
    """Measure so many different searches in each turn. Raises: CliError, if another benchmark runs."""
    bodies = searches(ids(TODAY), count, SEED)
    contexts = [SearchContext(Preferences.model_validate(body), TODAY, lookups()) for body in bodies]
    folder, measured = data / "documents", []
    with running_stack(data, busy=BUSY) as services:
        (pid,) = (state.pid for state in manager.status(data) if state.service.name == "elasticsearch" and state.pid)
        for size in sizes:
            report(f"{size:,} departures: documents and index")
            rmtree(folder, ignore_errors=True)
            folder.mkdir()
            try:
                files = write_documents(folder, size, SEED, TODAY)
                costs = compare(
                    services["ELASTICSEARCH_URL"],
                    files,
                    contexts,
                    rounds,
                    lambda: thread_cpu_seconds(pid, NOT_SEARCHING),
                )
                measured.append(asyncio.run(costs))
            finally:
                rmtree(folder)
            report(f"  {median(measured[-1].ratios):.2f} of the reference")
    return measured


async def compare(
    url: str, files: Sequence[BlockFile], contexts: Sequence[SearchContext], rounds: int, cpu: Cpu
) -> SearchCost:
    """Load the documents, and make the searches of both sides in turns."""
    async with loaded(url, ONE_SHARD, files) as index, _sides(url, index.names.popitem()[1], cpu) as (old, new):
        for _ in range(-(-WARM_UP_SEARCHES // len(contexts))):
            expected, found = await old.turn(contexts), await new.turn(contexts)
        for side in (old, new):
            side.client.requests = 0
            side.turns_ms.clear()
        for _ in range(rounds):
            expected, found = await old.turn(contexts), await new.turn(contexts)
    return SearchCost(
        departures=sum(file.documents for file in files),
        candidates=fmean(total for total, _ in expected),
        reference_requests=old.client.requests / rounds / len(contexts),
        requests=new.client.requests / rounds / len(contexts),
        reference_ms=median(old.turns_ms),
        service_ms=median(new.turns_ms),
        ratios=[mine / others for mine, others in zip(new.turns_ms, old.turns_ms, strict=True)],
        differing=sum(mine != right for mine, right in zip(found, expected, strict=True)),
    )


@asynccontextmanager
async def _sides(url: str, index: str, cpu: Cpu) -> AsyncIterator[tuple[Side, Side]]:
    clients = [CountingClient(url, seconds=SECONDS, connections=2) for _ in range(2)]
    yield (
        Side(ReferenceSearch(clients[0], index), clients[0], cpu),
        Side(ElasticsearchTripSearch(clients[1], index, cached=False), clients[1], cpu),
    )
    for client in clients:
        client.close()


def table(measured: Sequence[SearchCost]) -> Table:
    columns = ("departures", "candidates", "requests", "reference, ms", "service, ms", "ratio", "lists")
    rows = Table(*columns, title="Elasticsearch's CPU time for a search, of the raw reference")
    for row in measured:
        lists = f"{row.differing:,} differ" if row.differing else "equal"
        requests = f"{row.reference_requests:.2f}, {row.requests:.2f}"
        times = (f"{row.reference_ms:.2f}", f"{row.service_ms:.2f}")
        ratio = f"{median(row.ratios):.2f} ({min(row.ratios):.2f} to {max(row.ratios):.2f})"
        rows.add_row(f"{row.departures:,}", f"{row.candidates:,.0f}", requests, *times, ratio, lists)
    return rows
