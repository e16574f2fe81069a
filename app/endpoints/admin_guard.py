"""Administrators' calls: none without the right to it, and every attempt in the log."""

from collections.abc import Awaitable, Callable

import structlog
from starlette.responses import Response

from app.access.authentication import require_admin
from app.state import ApiRequest
from core.errors import ExpectedError

log = structlog.get_logger()


async def run_as_admin(request: ApiRequest, answer: Callable[[ApiRequest], Awaitable[Response]]) -> Response:
    """Raises 401 or 403 as ApiError before anything is done."""
    who, outcome = "unknown", "failed"
    try:
        who = require_admin(request.headers, request.state["settings"])
        response = await answer(request)
        outcome = str(response.status_code)
    except ExpectedError as error:
        outcome = error.code
        raise
    finally:
        log.info("admin_call", who=who, call=f"{request.method} {request.url.path}", outcome=outcome)
    return response
