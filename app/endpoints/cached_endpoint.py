"""Cached endpoints: their handlers are readers, which return a model read from the database, or its JSON."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import Scope

from app.backends.database import Database, ReadSession
from app.backends.shared_reads import Fetch
from app.cache.recent_departure_changes import IsAffected
from app.cache.response_cache import CacheKind, ResponseCache
from app.endpoints.serialization import serialize
from app.http.conditional import NO_CACHE, PUBLIC_ONE_HOUR, cached_response
from app.http.encoded_body import EncodedBody
from app.http.errors import Thing, not_found
from app.http.raw_response import RawResponse
from app.repositories.valid_rows import valid_items
from app.state import ApiRequest, RequestState
from core.dependency_calls import SharedCall
from schemas.api.envelopes import DetailResponse, ListResponse
from schemas.api.queries import PageQuery
from schemas.invalidation_message import EntityKind

Reader = Callable[..., Awaitable[BaseModel | bytes]]
"""`reader(session, *path_parameters, query=..., today=...)`; the last two only where the endpoint declares them.

It returns a model, or the JSON of one."""


@dataclass(frozen=True)
class ItemReader:
    """Reads the row with the path's id, together with those that other requests ask for at the same moment."""

    envelope: type[DetailResponse[Any]]
    fetch: Fetch
    """Finds the JSON of rows."""
    thing: Thing
    """What the row is called where there is none, or none that can be shown."""

    async def __call__(self, database: Database, row_id: int) -> bytes:
        """Return the response's JSON. Raises: ApiError 404."""
        with SharedCall("postgres", "select"):
            found = await database.by_id.get(self.fetch, row_id)
        if found is None:
            raise not_found(self.thing)
        return self.envelope.json_of(found)


LIST_TOTAL_SECONDS = 10.0
"""Seconds for which the pages of a list share its total, unless a change outdates it before."""
TRIP_SECONDS = 60.0
"""Longest time for which trips are shown as they were before a change of which nobody tells."""


@dataclass(frozen=True)
class ListTotal:
    """The number of rows of a list, which takes longer to count than a page to read."""

    cache: ResponseCache
    key: str
    depends_on: frozenset[EntityKind]

    async def __call__(self, count: Callable[[], Awaitable[int]]) -> int:
        """Return what `count` returns, or has returned for another page.

        The caller must hold no connection: all of them may be needed to count.
        """

        async def load() -> bytes:
            return b"%d" % await count()

        body = await self.cache.get(self.key, self.depends_on, load, LIST_TOTAL_SECONDS)
        # An outdated one must not become part of a page that counts as current.
        return await count() if body.stale else int(body.identity)


ReadRows = Callable[[ReadSession], Awaitable[Sequence[object]]]
ReadRow = Callable[[ReadSession, int], Awaitable[object | None]]


@dataclass(frozen=True, kw_only=True)
class CachePolicy:
    """How long responses are cached, and which changes invalidate them."""

    ttl: float
    """Seconds for which Redis and the processes cache a response."""
    cache_control: str
    """The response's Cache-Control header."""
    kind: CacheKind
    """What it is called in metrics."""
    depends_on: frozenset[EntityKind]
    """Kinds of entities that a response shows: a change of one invalidates it."""
    optional_kinds: Mapping[str, frozenset[EntityKind]] = field(default_factory=dict, hash=False)
    """Further kinds, by the boolean query parameter that adds them to the response."""
    depends_on_date: bool = False
    """Whether a response changes with the business date; the reader then gets the date as `today`."""
    shows_departure: bool = False
    """Whether of all departures a response shows only the one with the path's id: changes of others keep it."""
    shares_total: bool = False
    """Whether a response is a page of a list, and all pages of the list share its total.

    Its reader gets, in place of a session, the database, and a ListTotal as `total`."""

    def kinds(self, query: BaseModel | None) -> frozenset[EntityKind]:
        """Return the kinds that the response to this query depends on."""
        return self.depends_on.union(*(kinds for name, kinds in self.optional_kinds.items() if getattr(query, name)))


def reference_policy(*kinds: EntityKind) -> CachePolicy:
    """Return the policy for data that changes rarely; shared caches may store it for an hour."""
    return CachePolicy(ttl=3600, cache_control=PUBLIC_ONE_HOUR, kind="reference", depends_on=frozenset(kinds))


def trip_policy(
    *kinds: EntityKind,
    optional_kinds: Mapping[str, frozenset[EntityKind]] | None = None,
    depends_on_date: bool = False,
    shows_departure: bool = False,
    shares_total: bool = False,
) -> CachePolicy:
    """Return the policy for trips, which clients revalidate on every request."""
    return CachePolicy(
        # A page is as old as its total, which may have been kept already.
        ttl=TRIP_SECONDS - LIST_TOTAL_SECONDS if shares_total else TRIP_SECONDS,
        cache_control=NO_CACHE,
        kind="trips",
        depends_on=frozenset(kinds),
        optional_kinds=optional_kinds or {},
        depends_on_date=depends_on_date,
        shows_departure=shows_departure,
        shares_total=shares_total,
    )


async def respond_cached(request: ApiRequest, policy: CachePolicy, reader: Reader, query: BaseModel | None) -> Response:
    """Return the cached response; on a miss, call `reader` and cache what it returns."""
    state = request.state
    today = state["today"]() if policy.depends_on_date else None
    kinds = policy.kinds(query)
    key = cache_key(request.scope["route"].path_format, request.path_params, query, today)
    arguments = {name: value for name, value in (("query", query), ("today", today)) if value is not None}

    async def load() -> bytes:
        if isinstance(reader, ItemReader):
            return await reader(state["database"], *request.path_params.values())
        if policy.shares_total:
            total = ListTotal(state["cache"], _total_key(request, query, today), kinds)
            response = await reader(state["database"], *request.path_params.values(), total=total, **arguments)
        else:
            async with state["database"].read() as session:
                response = await reader(session, *request.path_params.values(), **arguments)
        return response if isinstance(response, bytes) else await serialize(response)

    shown = partial(_depends_on, request.path_params["id"]) if policy.shows_departure else None
    body = await state["cache"].get(key, kinds, load, policy.ttl, kind=policy.kind, read_dependency=shown)
    state["fast_path"].register(request.scope, partial(_local_response, key, policy, kinds))
    return cached_response(state["context"].headers, body, policy.cache_control)


def _depends_on(departure_id: int, body: EncodedBody) -> IsAffected:
    return lambda changes: any(change.id == departure_id for change in changes)


def _local_response(key: str, policy: CachePolicy, kinds: frozenset[EntityKind], scope: Scope) -> RawResponse | None:
    """Respond on the fast path: return the response if this process has a current body, else None."""
    state: RequestState = scope["state"]
    body = state["cache"].get_local(key, kinds, policy.kind)
    return None if body is None else cached_response(state["context"].headers, body, policy.cache_control)


def cache_key(
    path_format: str, path_parameters: Mapping[str, object], query: BaseModel | None, today: date | None
) -> str:
    """Return the key of a response; the path tells endpoints apart, all that a reader gets tells responses apart."""
    path = path_format.format(**path_parameters)
    return f"{path}?{query.model_dump_json() if query else ''}@{today or ''}"


def _total_key(request: ApiRequest, query: BaseModel | None, today: date | None) -> str:
    """Return the key of the total that all pages of the list share."""
    same = query.without_page() if isinstance(query, PageQuery) else query
    return f"total:{cache_key(request.scope['route'].path_format, request.path_params, same, today)}"


def list_reader(envelope: type[ListResponse[Any]], read_rows: ReadRows) -> Reader:
    """Return a reader of a whole list. Rows that cannot be shown are left out."""

    async def read(session: ReadSession) -> BaseModel:
        return envelope.of(await valid_items(envelope.item_model(), await read_rows(session)))

    return read


def detail_reader(envelope: type[DetailResponse[Any]], read_row: ReadRow, *, thing: Thing) -> Reader:
    """Return a reader of the row with the path's id.

    The reader raises 404 as ApiError, in which `thing` names the row, if there is none, or none that can be shown.
    """

    async def read(session: ReadSession, row_id: int) -> BaseModel:
        row = await read_row(session, row_id)
        for item in await valid_items(envelope.item_model(), [] if row is None else [row]):
            return envelope.of(item)
        raise not_found(thing)

    return read
