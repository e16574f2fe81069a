"""Searches of the trip index through its alias."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from elastic_transport import TransportError
from elasticsearch import AsyncElasticsearch

from app.errors import ApiError, unavailable
from schemas.document import TripDocument

log = structlog.get_logger()

JSON_HEADERS = {"accept": "application/json", "content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Found:
    total: int
    documents: list[TripDocument]


class TripSearch:
    def __init__(self, elasticsearch: AsyncElasticsearch, alias: str) -> None:
        self._client = elasticsearch
        # The shard answers an equal body from its request cache until a refresh changes something.
        self._search = f"/{alias}/_search?request_cache=true"
        self._count = f"/{alias}/_count"

    async def find(self, body: Mapping[str, Any]) -> Found:
        """The best departures of a search and how many there are. Raises 503 as ApiError."""
        answer = await self._ask(self._search, body)
        if answer["timed_out"] or answer["_shards"]["failed"]:
            raise self._unavailable("partial answer")
        hits = answer["hits"]
        return Found(hits["total"]["value"], [hit["_source"] for hit in hits["hits"]])

    async def count(self, query: Mapping[str, Any]) -> int:
        """Raises 503 as ApiError."""
        answer = await self._ask(self._count, {"query": query})
        if answer["_shards"]["failed"]:
            raise self._unavailable("partial answer")
        return int(answer["count"])

    async def _ask(self, target: str, body: Mapping[str, Any]) -> Any:
        # The transport itself: the client's own method wraps each answer, which costs more than the request.
        try:
            answer = await self._client.transport.perform_request(
                "POST", target, headers=JSON_HEADERS, body=orjson.dumps(body)
            )
        except TransportError as error:
            raise self._unavailable(type(error).__name__) from error
        if answer.meta.status != 200:
            raise self._unavailable(f"status {answer.meta.status}")
        return answer.body

    def _unavailable(self, reason: str) -> ApiError:
        log.warning("search_unavailable", reason=reason)
        return unavailable("the search index")
