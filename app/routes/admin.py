"""For administrators: the index, and what was set aside."""

from starlette.responses import Response

from app.admin.index_service import get_index_status, map_indexer_errors, request_reindex, verify_index
from app.backends.database import map_database_errors
from app.endpoints.endpoint import Endpoint
from app.http.raw_response import JSON
from app.repositories import admin
from app.state import ApiRequest
from indexer.rebuild.rollback import rollback as roll_back
from schemas.api.admin import (
    AdminModel,
    DeadLetters,
    DeadLettersQuery,
    IndexStatusResponse,
    ReindexAccepted,
    RetryRequest,
    RetryResponse,
    RollbackResponse,
    VerifyRequest,
    VerifyResponse,
)
from schemas.api.entities import to_json
from tracking.dead_letters import retry_dead_events


def _respond(body: AdminModel, *, status: int = 200) -> Response:
    return Response(to_json(body), status_code=status, media_type=JSON)


async def reindex(request: ApiRequest) -> Response:
    state = request.state
    await request_reindex(state["settings"], state["database"], state["redis"])
    return _respond(
        ReindexAccepted(message="A new index is about to be built; /api/admin/index tells how far it is."), status=202
    )


async def index(request: ApiRequest) -> Response:
    state = request.state
    found = await get_index_status(state["settings"], state["database"], state["elasticsearch"], state["redis"])
    return _respond(IndexStatusResponse(data=found))


async def verify(request: ApiRequest, body: VerifyRequest) -> Response:
    return _respond(VerifyResponse(data=await verify_index(request.state["settings"], repair=body.repair)))


async def rollback(request: ApiRequest) -> Response:
    with map_indexer_errors():
        name = await roll_back(request.state["settings"])
    return _respond(RollbackResponse(index=name))


async def dead_letters(request: ApiRequest, query: DeadLettersQuery) -> Response:
    async with request.state["database"].write() as session:
        found = await admin.dead_letters(session, query)
    return _respond(
        DeadLetters(
            count=len(found.rows), total=found.total, offset=query.offset, limit=query.limit, data=list(found.rows)
        )
    )


async def retry(request: ApiRequest, body: RetryRequest) -> Response:
    database = request.state["database"]
    if body.queue == "events":
        with map_database_errors():
            return _respond(RetryResponse(retried=await retry_dead_events(database.primary, body.ids)))
    async with database.write() as session:
        return _respond(RetryResponse(retried=await admin.retry_index_letters(session, body.ids)))


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/admin/reindex",
        handler=reindex,
        summary="Have a new index built beside the one in use; one at a time",
        tag="admin",
        answer=ReindexAccepted,
        status=202,
        errors=(409, 503),
        admin=True,
    ),
    Endpoint(
        method="GET",
        path="/api/admin/index",
        handler=index,
        summary="The index, what it has not heard of yet, and how far a reindex is",
        tag="admin",
        answer=IndexStatusResponse,
        errors=(503,),
        admin=True,
    ),
    Endpoint(
        method="POST",
        path="/api/admin/verify",
        handler=verify,
        summary="Compare the index with Postgres, field by field",
        tag="admin",
        body=VerifyRequest,
        answer=VerifyResponse,
        errors=(409, 503),
        admin=True,
    ),
    Endpoint(
        method="POST",
        path="/api/admin/rollback",
        handler=rollback,
        summary="Back to the index that was in use before; a second time undoes it",
        tag="admin",
        answer=RollbackResponse,
        errors=(409, 503),
        admin=True,
    ),
    Endpoint(
        method="GET",
        path="/api/admin/dead-letters",
        handler=dead_letters,
        summary="What was set aside, and why; the latest first",
        tag="admin",
        query=DeadLettersQuery,
        answer=DeadLetters,
        errors=(503,),
        admin=True,
    ),
    Endpoint(
        method="POST",
        path="/api/admin/dead-letters/retry",
        handler=retry,
        summary="Try once more what was set aside",
        tag="admin",
        body=RetryRequest,
        answer=RetryResponse,
        errors=(503,),
        admin=True,
    ),
)
