"""Endpoints for administrators: the index and dead letters."""

from app.admin import index_service
from app.backends.database import map_database_errors
from app.endpoints.endpoint import Endpoint
from app.repositories import admin
from app.state import ApiRequest
from schemas.api.admin import (
    DeadLettersQuery,
    DeadLettersResponse,
    IndexStatusResponse,
    ReindexAccepted,
    RetryRequest,
    RetryResponse,
    RollbackResponse,
    VerifyRequest,
    VerifyResponse,
)
from tracking.dead_letters import retry_dead_events


async def start_reindex(request: ApiRequest) -> ReindexAccepted:
    state = request.state
    await index_service.request_reindex(state["settings"], state["database"], state["redis"])
    return ReindexAccepted(message="A new index is about to be built; /api/admin/index tells how far it is.")


async def get_index_status(request: ApiRequest) -> IndexStatusResponse:
    state = request.state
    status = await index_service.get_index_status(
        state["settings"], state["database"], state["elasticsearch"], state["redis"]
    )
    return IndexStatusResponse(data=status)


async def verify_index(request: ApiRequest, body: VerifyRequest) -> VerifyResponse:
    report = await index_service.verify_index(request.state["settings"], repair=body.repair)
    return VerifyResponse(data=report)


async def roll_back(request: ApiRequest) -> RollbackResponse:
    return RollbackResponse(index=await index_service.roll_back(request.state["settings"]))


async def list_dead_letters(request: ApiRequest, query: DeadLettersQuery) -> DeadLettersResponse:
    async with request.state["database"].write() as session:
        page = await admin.find_dead_letters(session, query)
    return DeadLettersResponse(
        count=len(page.rows), total=page.total, offset=query.offset, limit=query.limit, data=list(page.rows)
    )


async def retry_dead_letters(request: ApiRequest, body: RetryRequest) -> RetryResponse:
    database = request.state["database"]
    if body.queue == "events":
        with map_database_errors():
            return RetryResponse(retried=await retry_dead_events(database.primary, body.ids))
    async with database.write() as session:
        return RetryResponse(retried=await admin.retry_index_letters(session, body.ids))


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/admin/reindex",
        handler=start_reindex,
        summary="Start a reindex",
        description=(
            "Have the worker build a new index in the background and swap it in. Returns 409 while another "
            "reindex or a rollback is running."
        ),
        tag="admin",
        response=ReindexAccepted,
        status=202,
        errors=(409,),
        admin=True,
    ),
    Endpoint(
        method="GET",
        path="/api/admin/index",
        handler=get_index_status,
        summary="Return the state of the index",
        description=(
            "Return the live index, the write targets, the outbox backlog, the number of dead letters and the "
            "progress of a reindex."
        ),
        tag="admin",
        response=IndexStatusResponse,
        admin=True,
    ),
    Endpoint(
        method="POST",
        path="/api/admin/verify",
        handler=verify_index,
        summary="Verify the index against Postgres",
        description=(
            "Compare every document of the index with Postgres, field by field, and return the differences. With "
            "`repair`, enqueue what differs for indexing."
        ),
        tag="admin",
        body=VerifyRequest,
        response=VerifyResponse,
        errors=(409,),
        admin=True,
    ),
    Endpoint(
        method="POST",
        path="/api/admin/rollback",
        handler=roll_back,
        summary="Roll back to the previous index",
        description="Swap the live index with the one before the last reindex. A second rollback undoes the first.",
        tag="admin",
        response=RollbackResponse,
        errors=(409,),
        admin=True,
    ),
    Endpoint(
        method="GET",
        path="/api/admin/dead-letters",
        handler=list_dead_letters,
        summary="List dead letters",
        description="Return a page of the changes or events that were dead-lettered, and why, the latest first.",
        tag="admin",
        query=DeadLettersQuery,
        response=DeadLettersResponse,
        admin=True,
    ),
    Endpoint(
        method="POST",
        path="/api/admin/dead-letters/retry",
        handler=retry_dead_letters,
        summary="Retry dead letters",
        description="Enqueue dead letters once more and return how many. Unknown ids are ignored.",
        tag="admin",
        body=RetryRequest,
        response=RetryResponse,
        admin=True,
    ),
)
