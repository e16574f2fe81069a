"""Searches in the very bytes in which somebody asked before: those need not be read again."""

from datetime import UTC, date, datetime
from typing import NamedTuple

from cachetools import LRUCache
from starlette.routing import Route
from starlette.types import Scope

from app.http.conditional import takes_gzip
from app.http.raw_response import IS_JSON, Fields, Prepared
from app.recommendations.response import reply
from app.recommendations.service import Answer, Wanted

PATH = "/api/v2/recommendations"

MOST = 4000
LONGEST = 2000
"""Bytes of a body that is remembered; the web client's have a few hundred."""


class Asked(NamedTuple):
    body: bytes
    today: date
    gzipped: bool


class Known(NamedTuple):
    key: str
    """Under which the answer is kept."""
    route: Route
    """Under which its requests are counted."""


class AskedBefore:
    def __init__(self) -> None:
        self._known: LRUCache[Asked, Known] = LRUCache(MOST)

    def remember(self, scope: Scope, wanted: Wanted) -> None:
        body: bytes = scope["state"]["body"]
        if len(body) <= LONGEST:
            self._known[Asked(body, wanted.today, wanted.gzipped)] = Known(wanted.key, scope["route"])

    def answer(self, scope: Scope, body: bytes) -> Prepared | None:
        """None if this process does not hold it."""
        state = scope["state"]
        fields: Fields = state["fields"]
        if fields.get(IS_JSON[0]) != IS_JSON[1]:
            return None
        known = self._known.get(Asked(body, state["today"](), takes_gzip(fields)))
        held: Answer | None = state["answers"].held(known.key) if known else None
        if known is None or held is None:
            return None
        scope["route"] = known.route
        return reply(scope, held, datetime.now(UTC))
