"""Trip search in Elasticsearch, through the index alias."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import orjson
import structlog
from prometheus_client import Counter

from app.backends.circuit_breaker import CircuitBreaker, Dependency
from app.backends.failover_client import FailoverHttpClient
from app.backends.http_client import HttpClient
from app.backends.index_freshness import IndexFreshnessMonitor
from app.backends.labels import SEARCH_INDEX_LABEL
from app.recommendations.trip_search.elasticsearch_responses import COUNT, FACETS, HITS, EsResponse, Hits
from app.recommendations.trip_search.expected_scores import ExpectedScores, search_kind
from app.recommendations.trip_search.index_lookups import LOOKUP_QUERY, parse_lookups
from app.recommendations.trip_search.interface import SearchHits
from core.concurrency.stall_detector import ServerStalledError
from core.dependency_calls import Call
from core.elasticsearch_node import elasticsearch_operation
from core.errors import BackendBusyError, BackendUnavailableError, OverloadedError
from core.tracing import spans
from core.tracing.elasticsearch import response_attributes
from scoring import weights
from scoring.context import SearchLookups
from scoring.elasticsearch import build_search, score_offset
from scoring.predicates import Condition
from scoring.rules import RuleGroup

log = structlog.get_logger()

STALE_INDEX = "the index lacks changes that no worker writes"
"""Reason for which the index is not asked."""

BUSY_INDEX = "a search took too long while others succeeded"
"""Reason of a failure that opens no circuit breaker."""

REPEATED_SEARCHES = Counter(
    "smarttrip_repeated_searches_total", "Searches made once more because too high a score was expected"
)

Response = TypeVar("Response", bound=EsResponse)
Result = TypeVar("Result")


def search_path(alias: str, *, cached: bool = True) -> str:
    """Return the path of the search API.

    With `cached`, the shard answers an equal body from its request cache until a refresh changes something. Of several
    copies that of the node asked is searched, so that a search waits for one node only. Where a shard has no copy left,
    the search fails: the other shards alone would give a wrong ranking.
    """
    return f"/{alias}/_search?request_cache={str(cached).lower()}&preference=_local&allow_partial_search_results=false"


class ElasticsearchTripSearch:
    """The primary trip search. Its methods raise BackendUnavailableError or OverloadedError."""

    def __init__(
        self,
        elasticsearch: HttpClient | FailoverHttpClient,
        alias: str,
        feed: IndexFreshnessMonitor | None = None,
        *,
        cached: bool = True,
        dependency: Dependency = "elasticsearch",
    ) -> None:
        """`dependency` names the search's own circuit breaker in metrics and logs."""
        self._elasticsearch = elasticsearch
        self._feed = feed
        self._search_path = search_path(alias, cached=cached)
        self._count_path = f"/{alias}/_count"
        self.expected = ExpectedScores()
        self.breaker = CircuitBreaker(dependency, SEARCH_INDEX_LABEL)
        self._succeeded = 0
        """Number of calls that succeeded."""

    @property
    def is_stale(self) -> bool:
        """Whether the index lacks changes that no worker will write to it."""
        return self._feed is not None and self._feed.is_stale

    async def find(self, condition: Condition, rules: Sequence[RuleGroup], size: int) -> SearchHits:
        """Return the `size` best departures for which the condition holds."""
        kind = search_kind(condition, rules, size)
        expected = self.expected.lowest(kind)
        hits, last = await self._search(condition, rules, size, expected)
        while last < expected > weights.MIN_SHOWN_SCORE:
            # So many departures had at least the last score; not any more if one of them has changed since.
            REPEATED_SEARCHES.inc()
            expected = max(last, weights.MIN_SHOWN_SCORE)
            hits, last = await self._search(condition, rules, size, expected)
        self.expected.add(kind, last)
        return SearchHits(hits.total.value, [hit.source for hit in hits.hits])

    async def count(self, condition: Condition) -> int:
        """Return the number of departures for which the condition holds."""
        body = {"query": condition.to_elasticsearch()}
        return await self._query(self._count_path, body, COUNT, lambda response: response.count)

    async def lookups(self) -> SearchLookups:
        """Return the lookups as far as the index knows them (see `index_lookups`)."""
        return await self._query(
            self._search_path, LOOKUP_QUERY, FACETS, lambda response: parse_lookups(response.aggregations)
        )

    async def _search(
        self, condition: Condition, rules: Sequence[RuleGroup], size: int, least: int
    ) -> tuple[Hits, int]:
        """Return hits that are complete down to the score `least`, and the score of the last; 0 if they are fewer."""
        with spans.span("build search"):
            body = build_search(condition, rules, size, least)
        response = await self._query(self._search_path, body, HITS, lambda response: response)
        hits = response.hits.hits
        return response.hits, int(hits[-1].sort[0]) - score_offset(rules) if len(hits) == size else 0

    async def _query(
        self,
        path: str,
        body: Mapping[str, Any],
        decoder: msgspec.json.Decoder[Response],
        parse: Callable[[Response], Result],
    ) -> Result:
        if self._elasticsearch.is_full:
            # Another request would only queue, and all requests would become slower.
            raise OverloadedError()
        if self.is_stale:
            # The index works, so this is nothing for the circuit breaker.
            raise BackendUnavailableError(SEARCH_INDEX_LABEL, reason=STALE_INDEX)
        with self.breaker:
            text = await self._post(path, orjson.dumps(body))
            try:
                response = decoder.decode(text)
                if response.is_partial:
                    raise self._unavailable("partial response")
                return parse(response)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise self._unavailable("malformed response") from error

    async def _post(self, path: str, body: bytes) -> bytes:
        succeeded_before = self._succeeded
        try:
            with Call("elasticsearch", elasticsearch_operation(path)) as span:
                response = await self._elasticsearch.post(path, body, spans.outgoing_headers())
                if span.is_recorded:
                    span.set(response_attributes(response.status, response.body))
        except OSError as error:
            if isinstance(error, ServerStalledError):
                self.breaker.trip()
            elif isinstance(error, TimeoutError) and self._succeeded > succeeded_before:
                raise self._unavailable(BUSY_INDEX, BackendBusyError) from error
            raise self._unavailable(type(error).__name__) from error
        if response.status != 200:
            raise self._unavailable(f"status {response.status}")
        self._succeeded += 1
        return response.body

    def _unavailable(
        self, reason: str, error: type[BackendUnavailableError] = BackendUnavailableError
    ) -> BackendUnavailableError:
        log.warning("search_unavailable", reason=reason)
        return error(SEARCH_INDEX_LABEL, reason=reason)
