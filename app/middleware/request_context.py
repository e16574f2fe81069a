"""Outermost middleware: request context, CORS, default headers, metrics, and the response to every error.

One middleware, not five: each layer costs a request more than what it does.
"""

from collections.abc import Sequence

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access.authentication import bearer_token
from app.http import security_headers
from app.http.cors import CorsPolicy
from app.http.errors import internal_error, to_api_error
from app.http.pages import render_error
from app.http.raw_response import CONNECTION_CLOSE, RAW_RESPONSE_EXTENSION, REQUEST_BODY_EXTENSION, Header
from app.http.request_ids import request_id
from app.middleware.instrumentation import InstrumentedSend
from app.observability.access_log import AccessLog
from app.state import RequestContext
from core.errors import ExpectedError
from core.logs.configuration import request_id_var
from core.request_record import record_var

log = structlog.get_logger()

API_PREFIX = "/api/"
"""Paths that are shared with other origins (CORS) and are never cached unless the response says so."""


class RequestContextMiddleware:
    """Create the `RequestContext`, and turn errors into responses: ApiError into its own, any other into a 500."""

    def __init__(
        self,
        app: ASGIApp,
        allowed_origins: Sequence[str],
        allowed_headers: Sequence[str] = (),
        access_log: AccessLog | None = None,
        *,
        shows_timing: bool = False,
    ) -> None:
        """With `shows_timing` the responses to everybody, not to administrators only, say where their time went."""
        self.app = app
        self._access_log = access_log or AccessLog()
        self._shows_timing = shows_timing
        self._cors = CorsPolicy(allowed_origins, allowed_headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        context = _create_context(scope)
        # A dictionary of the request's own: some servers share theirs between the requests of a connection.
        scope["state"] = {**scope["state"], "context": context}
        request_id_var.set(context.id)
        record_var.set(context.record)
        is_api = scope["path"].startswith(API_PREFIX)
        added = self._added_headers(scope, context, is_api)
        defaults = security_headers.API_HEADERS if is_api else security_headers.HEADERS
        instrumented = InstrumentedSend(send, scope, added, defaults, shows_timing=self._shows_timing)
        preflight = self._cors.preflight(scope, context.headers, context.id) if is_api else None
        try:
            await self._respond(preflight or self.app, scope, receive, instrumented)
        finally:
            instrumented.finish(self._access_log)

    def _added_headers(self, scope: Scope, context: RequestContext, is_api: bool) -> tuple[Header, ...]:
        cors = self._cors.headers(context.headers.get(b"origin")) if is_api else ()
        if not scope["state"]["draining"].active:
            return cors
        # The server closes the connection when it parses this header, which it does not in a raw response.
        scope.get("extensions", {}).pop(RAW_RESPONSE_EXTENSION, None)
        return (*cors, CONNECTION_CLOSE)

    async def _respond(self, app: ASGIApp, scope: Scope, receive: Receive, instrumented: InstrumentedSend) -> None:
        context = scope["state"]["context"]
        try:
            if b"authorization" in context.headers:
                await _load_signing_keys(scope)
            await app(scope, receive, instrumented.send)
        except ExpectedError as error:
            # A variable for the error itself would make it part of a reference cycle, with all frames of the request.
            response = render_error(to_api_error(error), context.id, context.headers)
        except Exception:
            log.exception("unexpected_error", path=scope["path"])
            if instrumented.started:
                raise
            response = render_error(internal_error(), context.id, context.headers)
        else:
            return
        await response(scope, receive, instrumented.send)


def _create_context(scope: Scope) -> RequestContext:
    headers = dict(scope["headers"])
    body = scope.get("extensions", {}).get(REQUEST_BODY_EXTENSION, {}).get("body")
    return RequestContext(request_id(headers), headers, body)


async def _load_signing_keys(scope: Scope) -> None:
    """Load the keys for the request's token, before something verifies it without waiting."""
    token = bearer_token(Headers(scope=scope))
    scope["state"]["context"].signing_keys = await scope["state"]["signing_keys"].keys_for(token)
