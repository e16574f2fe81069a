"""Recommendations from a layout: the product's searches, each sent to the indexes that it can find departures in."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from app.backends.http_client import HttpClient
from app.recommendations.engine import RankedResults, find_recommendations
from app.recommendations.trip_search.elasticsearch import ElasticsearchTripSearch
from app.recommendations.trip_search.interface import SearchHits
from scoring.context import SearchContext
from scoring.predicates import Condition
from scoring.rules import RuleGroup
from scripts.benchmark.sharding.loading import SECONDS, LoadedLayout

CONNECTIONS = 16

RankedList = tuple[int, Sequence[tuple[int, int]]]
"""Number of candidates, and id and score of each departure shown."""


class PatientClient(HttpClient):
    """A client that takes no slow search for a server that stands still."""

    patience = SECONDS


@dataclass
class LayoutSearch:
    """A trip search in the indexes of a layout."""

    loaded: LoadedLayout
    client: HttpClient
    continents: Mapping[str, str]
    indexes_asked: int = 0

    async def find(self, condition: Condition, rules: Sequence[RuleGroup], size: int) -> SearchHits:
        targets = self.loaded.layout.targets(condition, self.loaded.parts, self.continents)
        self.indexes_asked += len(targets)
        names = ",".join(self.loaded.names[name] for name in targets)
        return await ElasticsearchTripSearch(self.client, names, cached=False).find(condition, rules, size)


@dataclass(frozen=True)
class SearchRun:
    """Searches that clients have made one after the other, each its own."""

    milliseconds: list[float] = field(default_factory=list)
    """Of each search, in the order of the searches."""
    lists: list[RankedList] = field(default_factory=list)
    elapsed: float = 0.0
    cpu_ms: float = 0.0
    """Of Elasticsearch, for each search."""
    indexes: float = 0.0
    """Asked for each search; a relaxed one counts with its own."""


async def search(
    url: str, loaded: LoadedLayout, contexts: Sequence[SearchContext], clients: int, cpu: Callable[[], float]
) -> SearchRun:
    """Make the searches with so many clients; `cpu` returns the CPU seconds of Elasticsearch so far."""
    client = PatientClient(url, seconds=SECONDS, connections=CONNECTIONS)
    continents = {str(country): name for country, name in contexts[0].lookups.continents.items()}
    trips = LayoutSearch(loaded, client, continents)
    found: list[tuple[float, RankedList]] = [(0.0, (0, ()))] * len(contexts)

    async def run(remaining: Iterator[tuple[int, SearchContext]]) -> None:
        for number, context in remaining:
            started = time.perf_counter()
            results = await find_recommendations(trips, context)
            found[number] = ((time.perf_counter() - started) * 1000, ranked_list(results))

    used, started = cpu(), time.perf_counter()
    remaining = iter(enumerate(contexts))
    await asyncio.gather(*(run(remaining) for _ in range(clients)))
    elapsed, used = time.perf_counter() - started, cpu() - used
    client.close()
    return SearchRun(
        milliseconds=[milliseconds for milliseconds, _ in found],
        lists=[ranked for _, ranked in found],
        elapsed=elapsed,
        cpu_ms=used / len(contexts) * 1000,
        indexes=trips.indexes_asked / len(contexts),
    )


def ranked_list(results: RankedResults) -> RankedList:
    return results.total_candidates, [(shown.document.id, shown.score) for shown in results.all]
