"""A side of a replay that is an index of this installation, searched with a weight set, without a cache or HTTP."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from app.backends import factory
from app.backends.circuit_breaker import reason_of
from app.backends.database import ReadSession
from app.recommendations.engine import find_recommendations
from app.recommendations.trip_search.elasticsearch import ElasticsearchTripSearch
from app.repositories.lookups import load_lookups
from core import clients
from core.business_date import business_date_provider
from core.configuration.settings import Settings
from core.errors import BackendError
from indexer.rollout import weight_sets
from indexer.rollout.rollouts import load_state
from schemas.api.preferences import Preferences
from scoring.context import SearchContext, SearchLookups
from scoring.weight_set import WeightSet
from scripts.errors import CliError, ExitCode
from scripts.replay.side import Answer


@dataclass(frozen=True)
class IndexSide:
    name: str
    trips: ElasticsearchTripSearch
    lookups: SearchLookups
    weights: WeightSet
    today: date

    async def search(self, preferences: Preferences) -> Answer:
        search = SearchContext(preferences, self.today, self.lookups, self.weights.weights)
        started = time.monotonic()
        try:
            found = await find_recommendations(self.trips, search)
        except BackendError as error:
            return Answer(time.monotonic() - started, problem=reason_of(error))
        seconds = time.monotonic() - started
        ids = [result.document.id for result in found.all]
        return Answer(seconds, ids, [result.score for result in found.all], found.total_candidates)


@asynccontextmanager
async def open_index(settings: Settings, name: str) -> AsyncIterator[IndexSide]:
    """Search an index, or an alias, with the weights that clients are answered with. Raises: CliError."""
    await _check_index(settings, name)
    async with _open(settings, name, name, None) as side:
        yield side


@asynccontextmanager
async def open_weights(settings: Settings, reference: str) -> AsyncIterator[IndexSide]:
    """Search the live index with a weight set. Raises: CliError."""
    async with _open(settings, reference, settings.search_alias, reference) as side:
        yield side


async def _check_index(settings: Settings, name: str) -> None:
    alias = settings.elasticsearch_alias
    if name != alias and not name.startswith(f"{alias}-"):
        raise CliError(f"{name} is no index of this installation: the names of its indexes begin with {alias}-.")
    async with clients.own_elasticsearch(settings, timeout=settings.elasticsearch_seconds) as elasticsearch:
        if not await elasticsearch.indices.exists(index=name):
            raise CliError(f"There is no index {name}.")


@asynccontextmanager
async def _open(settings: Settings, name: str, index: str, reference: str | None) -> AsyncIterator[IndexSide]:
    engine = clients.postgres(settings.database_url)
    try:
        async with engine.connect() as connection:
            weights = await _load_weights(connection, settings, reference)
            lookups = await load_lookups(ReadSession(connection))
    finally:
        await engine.dispose()
    with closing(factory.search_http_client(settings)) as client:
        trips = ElasticsearchTripSearch(client, index, cached=False)
        yield IndexSide(name, trips, lookups, weights, business_date_provider(settings)())


async def _load_weights(connection: AsyncConnection, settings: Settings, reference: str | None) -> WeightSet:
    """Return the weight set, or the stable one. Raises: CliError."""
    if reference is not None:
        found = await weight_sets.find(connection, reference)
    else:
        state = await load_state(connection, settings.scoring_weights)
        found = None if state is None else state.stable
    if found is None:
        raise CliError(f"There is no weight set {reference or settings.scoring_weights}.", ExitCode.NO_SUCH_SET)
    return found
