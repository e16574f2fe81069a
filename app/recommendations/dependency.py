"""What a cached response depends on: stored with it, so that each process can tell which changes affect it."""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache

from msgspec import Struct
from msgspec.json import Decoder, encode

from app.recommendations.engine import RankedResults
from schemas.api.preferences import Preferences
from scoring.change_impact import ChangedDeparture, ShownResults, ShownSearch
from scoring.context import SearchContext, SearchLookups
from scoring.weights import Weights

MAX_COMPILED = 256
"""Searches that are retained as rules and conditions, of some 17 kB each."""


class Dependency(Struct, frozen=True, array_like=True):
    private_type_id: int
    continents: Mapping[int, str]
    """Continents of the chosen countries."""
    shown: ShownResults


def pack_dependency(results: RankedResults, search: SearchContext) -> bytes:
    chosen, continents = search.preferences.selected_countries, search.lookups.continents
    known = {country: continents[country] for country in chosen if country in continents}
    shown = ShownResults.of(results.primary, results.relaxed)
    return encode(Dependency(search.lookups.private_type_id, known, shown))


class ResponseDependency:
    """The dependency of the response to a search. Most are rarely compared with a change, and only then unpacked."""

    def __init__(self, preferences: Preferences, today: date, weights: Weights, packed: bytes) -> None:
        self._preferences = preferences
        self._today = today
        self._weights = weights
        self._packed = packed

    def is_affected(self, changes: Sequence[ChangedDeparture]) -> bool:
        """Return whether one of the changes may have changed the response."""
        return bool(changes) and _compile(self).is_affected(changes)

    def compile(self) -> ShownSearch:
        stored = _decode(self._packed)
        lookups = SearchLookups(stored.private_type_id, stored.continents)
        return ShownSearch(SearchContext(self._preferences, self._today, lookups, self._weights), stored.shown)


_compile = lru_cache(MAX_COMPILED)(ResponseDependency.compile)
_decode = Decoder(Dependency).decode
