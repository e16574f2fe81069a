"""What every request and every answer gets, in one pass: each further layer costs more than what it does."""

from collections.abc import Sequence

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from app.http import security_headers
from app.http.cors import CorsPolicy
from app.http.errors import ApiError, error_response, to_api_error
from app.http.raw_response import CONNECTION_CLOSE, Header, RequestHeaders
from app.http.request_ids import request_id
from app.middleware.instrumentation import InstrumentedSend
from core.errors import ExpectedError
from core.logging import request_id_var

log = structlog.get_logger()

UNEXPECTED = ApiError(500, "internal", "Something went wrong on our side. Please try again.")

API = "/api/"


class RequestContextMiddleware:
    """Ids, figures, security headers and CORS; and the last stop of every error.

    Expected errors become their answer, others a 500 that says nothing of the inside.
    """

    def __init__(self, app: ASGIApp, allowed_origins: Sequence[str]) -> None:
        self.app = app
        self._cors = CorsPolicy(allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        fields: RequestHeaders = dict(scope["headers"])
        scope["state"]["fields"] = fields
        asked = scope["state"]["request_id"] = request_id(fields)
        request_id_var.set(asked)
        is_api = scope["path"].startswith(API)
        added = ((b"x-request-id", asked.encode()), *self._added(scope, fields, is_api))
        unless_said = security_headers.API_HEADERS if is_api else security_headers.HEADERS
        exchange = InstrumentedSend(send, added, unless_said)
        preflight = self._cors.preflight(scope, fields) if is_api else None
        try:
            await self._answer(preflight or self.app, scope, receive, exchange)
        finally:
            exchange.end(scope)

    def _added(self, scope: Scope, fields: RequestHeaders, is_api: bool) -> Sequence[Header]:
        shared = self._cors.headers(fields.get(b"origin")) if is_api else ()
        # While the process is ending, keep-alive connections are sent elsewhere.
        return (*shared, CONNECTION_CLOSE) if scope["state"]["draining"].active else shared

    async def _answer(self, app: ASGIApp, scope: Scope, receive: Receive, exchange: InstrumentedSend) -> None:
        try:
            await app(scope, receive, exchange.send)
        except ExpectedError as error:
            refusal = to_api_error(error)
        except Exception:
            log.exception("unexpected_error", path=scope["path"])
            if exchange.started:
                raise
            refusal = UNEXPECTED
        else:
            return
        await error_response(refusal, scope["state"]["request_id"])(scope, receive, exchange.send)
