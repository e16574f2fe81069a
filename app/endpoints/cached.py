"""Endpoints whose whole answer is read from the database and kept."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import Scope

from app.backends.database import ReadSession
from app.endpoints.endpoint import Handler
from app.http.conditional import NO_CACHE, PUBLIC_ONE_HOUR, cached_response
from app.http.errors import not_found
from app.http.raw_response import RawResponse
from app.state import ApiRequest, RequestState
from schemas.api.entities import to_json
from schemas.api.envelopes import DetailResponse, ListResponse
from schemas.invalidation import EntityKind

Read = Callable[[ReadSession], Awaitable[BaseModel]]
ReadRows = Callable[[ReadSession], Awaitable[Sequence[object]]]
ReadRow = Callable[[ReadSession, int], Awaitable[object | None]]


@dataclass(frozen=True)
class CachePolicy:
    seconds: float
    cache_control: str
    depends_on: frozenset[EntityKind]


def reference_policy(*kinds: EntityKind) -> CachePolicy:
    return CachePolicy(3600, PUBLIC_ONE_HOUR, frozenset(kinds))


def trip_policy(*kinds: EntityKind) -> CachePolicy:
    return CachePolicy(60, NO_CACHE, frozenset(kinds))


async def cached_json(request: ApiRequest, keeping: CachePolicy, key: str, read: Read) -> Response:
    """What `read` makes, from the cache where it is there."""
    state = request.state

    async def fill() -> bytes:
        async with state["database"].read() as session:
            body = await read(session)
        return to_json(body)

    body = await state["cache"].get(key, keeping.depends_on, fill, keeping.seconds)
    state["fast_path"].register(request.scope, partial(_local_response, keeping, key))
    return cached_response(state["context"].headers, body, keeping.cache_control)


def _local_response(policy: CachePolicy, key: str, scope: Scope) -> RawResponse | None:
    """Respond on the fast path: return the response if this process has a current body, else None."""
    state: RequestState = scope["state"]
    body = state["cache"].get_local(key, policy.depends_on)
    return None if body is None else cached_response(state["context"].headers, body, policy.cache_control)


def list_endpoint(keeping: CachePolicy, envelope: type[ListResponse[Any]], read_rows: ReadRows) -> Handler:
    async def handle(request: ApiRequest) -> Response:
        async def read(session: ReadSession) -> BaseModel:
            return envelope.of(await read_rows(session))

        return await cached_json(request, keeping, request.scope["path"], read)

    return handle


def detail_endpoint(
    keeping: CachePolicy, envelope: type[DetailResponse[Any]], read_row: ReadRow, *, thing: str
) -> Handler:
    """The row whose id the path names."""

    async def handle(request: ApiRequest) -> Response:
        number: int = request.path_params["id"]

        async def read(session: ReadSession) -> BaseModel:
            row = await read_row(session, number)
            if row is None:
                raise not_found(thing)
            return envelope.of(row)

        return await cached_json(request, keeping, f"{thing}:{number}", read)

    return handle
