"""Searches in the very bytes in which somebody asked before: those need not be read again."""

from datetime import UTC, date, datetime
from typing import NamedTuple

from cachetools import LRUCache
from starlette.routing import Route
from starlette.types import Scope

from app.http.conditional import accepts_gzip_response
from app.http.raw_response import CONTENT_TYPE_JSON, RawResponse, RequestHeaders
from app.recommendations.response import build_response
from app.recommendations.service import CachedResponse, SearchRequest

MAX_ENTRIES = 4000
MAX_BODY_BYTES = 2000
"""Bytes of a body that is remembered; the web client's have a few hundred."""


class RawRequest(NamedTuple):
    body: bytes
    today: date
    gzipped: bool


class CachedKey(NamedTuple):
    key: str
    """Under which the answer is kept."""
    route: Route
    """Under which its requests are counted."""


class RawRequestIndex:
    def __init__(self) -> None:
        self._known: LRUCache[RawRequest, CachedKey] = LRUCache(MAX_ENTRIES)

    def remember(self, scope: Scope, wanted: SearchRequest) -> None:
        body: bytes = scope["state"]["context"].body
        if len(body) <= MAX_BODY_BYTES:
            self._known[RawRequest(body, wanted.today, wanted.gzipped)] = CachedKey(wanted.key, scope["route"])

    def answer(self, scope: Scope, body: bytes) -> RawResponse | None:
        """None if this process does not hold it."""
        state = scope["state"]
        fields: RequestHeaders = state["context"].headers
        if fields.get(CONTENT_TYPE_JSON[0]) != CONTENT_TYPE_JSON[1]:
            return None
        known = self._known.get(RawRequest(body, state["today"](), accepts_gzip_response(fields)))
        held: CachedResponse | None = state["recommendations"].held(known.key) if known else None
        if known is None or held is None:
            return None
        scope["route"] = known.route
        return build_response(scope, held, datetime.now(UTC))
