"""Searches of the trip index through its alias."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import msgspec
import orjson
import structlog

from app.backends.circuit_breaker import CircuitBreaker
from app.backends.http_client import HttpClient
from app.recommendations.es_lookups import LOOKUP_QUERY, parse_lookups
from app.recommendations.es_responses import COUNT, FACETS, HITS, EsResponse, SearchResponse
from core.errors import BackendUnavailableError, OverloadedError
from schemas.index_document import TripDocument
from scoring.context import SearchLookups
from scoring.elasticsearch import build_search
from scoring.predicates import Condition
from scoring.rules import RuleGroup

log = structlog.get_logger()

Answer = TypeVar("Answer", bound=EsResponse)
Result = TypeVar("Result")

SEARCH_INDEX_LABEL = "the search index"


@dataclass(frozen=True, slots=True)
class SearchHits:
    """The best candidates, in order, and the number of all."""

    total: int
    documents: Sequence[TripDocument]


class TripSearch(Protocol):
    """Where candidates come from, ranked by the rules."""

    async def find(self, condition: Condition, rules: Sequence[RuleGroup], size: int) -> SearchHits:
        """Raises BackendUnavailableError or OverloadedError."""
        ...


def search_path(alias: str, *, cached: bool = True) -> str:
    """Where it is `cached` the shard answers an equal body from its request cache until a refresh changes something."""
    return f"/{alias}/_search?request_cache={str(cached).lower()}"


class ElasticsearchTripSearch:
    def __init__(self, elasticsearch: HttpClient, alias: str, *, cached: bool = True) -> None:
        self._elasticsearch = elasticsearch
        self._search = search_path(alias, cached=cached)
        self._count = f"/{alias}/_count"
        self.breaker = CircuitBreaker("elasticsearch", SEARCH_INDEX_LABEL)

    async def find(self, condition: Condition, rules: Sequence[RuleGroup], size: int) -> SearchHits:
        return await self._ask(self._search, build_search(condition, rules, size), HITS, _found)

    async def count(self, condition: Condition) -> int:
        """Raises BackendUnavailableError or OverloadedError."""
        return await self._ask(self._count, {"query": condition.filter()}, COUNT, lambda answer: answer.count)

    async def catalogue(self) -> SearchLookups:
        """As far as it is known here. Raises BackendUnavailableError or OverloadedError."""
        return await self._ask(self._search, LOOKUP_QUERY, FACETS, lambda answer: parse_lookups(answer.aggregations))

    async def _ask(
        self,
        target: str,
        body: Mapping[str, Any],
        decoder: msgspec.json.Decoder[Answer],
        read: Callable[[Answer], Result],
    ) -> Result:
        if self._elasticsearch.is_full:
            # One more would only wait for others, and the time of all would grow.
            raise OverloadedError()
        with self.breaker.protect():
            text = await self._request(target, orjson.dumps(body))
            try:
                answer = decoder.decode(text)
                if answer.is_partial:
                    raise self._unavailable("partial answer")
                return read(answer)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise self._unavailable("not an answer of Elasticsearch") from error

    async def _request(self, target: str, body: bytes) -> bytes:
        try:
            answer = await self._elasticsearch.post(target, body)
        except OSError as error:
            raise self._unavailable(type(error).__name__) from error
        if answer.status != 200:
            raise self._unavailable(f"status {answer.status}")
        return answer.body

    def _unavailable(self, reason: str) -> BackendUnavailableError:
        log.warning("search_unavailable", reason=reason)
        return BackendUnavailableError(SEARCH_INDEX_LABEL)


def _found(answer: SearchResponse) -> SearchHits:
    return SearchHits(answer.hits.total.value, [hit.source for hit in answer.hits.hits])
