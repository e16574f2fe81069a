"""Guard of the administrators' endpoints: check the credentials, and log every call."""

from collections.abc import Awaitable, Callable

import structlog
from starlette.responses import Response

from app.access.authentication import require_admin
from app.state import ApiRequest, current_identity
from core.errors import ExpectedError

log = structlog.get_logger()


async def run_as_admin(request: ApiRequest, handler: Callable[[ApiRequest], Awaitable[Response]]) -> Response:
    """Run the handler and log who called it, and with which outcome.

    Raises NotAuthenticatedError or NotAuthorizedError before the handler runs.
    """
    who, outcome = "unknown", "failed"
    try:
        who = require_admin(request.headers, request.state["settings"], lambda: current_identity(request))
        response = await handler(request)
        outcome = str(response.status_code)
    except ExpectedError as error:
        outcome = error.code
        raise
    finally:
        log.info("admin_call", who=who, call=f"{request.method} {request.scope['path']}", outcome=outcome)
    return response
