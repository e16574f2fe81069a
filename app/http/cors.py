"""CORS for the API's paths, errors included. An origin that is not allowed gets no CORS header at all."""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import SAFELISTED_HEADERS, CORSMiddleware
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.http.errors import InvalidField, bad_request, error_response
from app.http.language import request_language
from app.http.raw_response import Header, RequestHeaders
from schemas.messages.message import Message

METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS")
HEADERS = (
    "Content-Type",
    "Content-Encoding",
    "Authorization",
    "X-Session-ID",
    "X-Request-ID",
    "Cache-Control",
    "Pragma",
    "If-None-Match",
    # Tracing: W3C Trace Context and Baggage, and Sentry's own.
    "traceparent",
    "tracestate",
    "baggage",
    "sentry-trace",
    # Added to every request by Supabase's client.
    "apikey",
    "X-Client-Info",
)
"""Request headers that allowed origins may send; the setting ALLOWED_HEADERS adds more."""

EXPOSED = (
    "X-Request-ID",
    "Retry-After",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "RateLimit-Policy",
    "ETag",
    "Warning",
    "Allow",
    "Accept-Encoding",
    "WWW-Authenticate",
    "Content-Language",
    "X-Scoring-Weights",
    "X-Rollout-Variant",
)
"""Response headers that scripts may read, beside those that browsers always show them."""

MAX_NAMED = 5
"""Disallowed headers that a refused preflight names."""
MAX_NAME = 64
"""Characters of each of them."""

VARY = (b"vary", b"Origin")
"""On every response, so that no cache serves one origin's response to another."""

DEFAULT_HEADERS = (VARY,)


class CorsPolicy:
    def __init__(self, allowed_origins: Sequence[str], allowed_headers: Sequence[str] = ()) -> None:
        """Allow the origins to send `allowed_headers` beside those of `HEADERS`."""
        self._headers = {origin.encode(): _headers(origin) for origin in allowed_origins}
        self._allowed_names = {name.lower() for name in (*HEADERS, *allowed_headers, *SAFELISTED_HEADERS)}
        middleware = CORSMiddleware(_unreachable_app, allow_methods=METHODS, allow_headers=(*HEADERS, *allowed_headers))
        # The middleware of the application adds the others to every response.
        self._preflight_headers = {
            name: value
            for name, value in middleware.preflight_headers.items()
            if name.startswith("Access-Control-") and name != "Access-Control-Allow-Origin"
        }

    def headers(self, origin: bytes | None) -> tuple[Header, ...]:
        """Return the CORS headers for a response to this origin."""
        return self._headers.get(origin, DEFAULT_HEADERS) if origin is not None else DEFAULT_HEADERS

    def preflight(self, scope: Scope, headers: RequestHeaders, request_id: str) -> Response | None:
        """Return the response to a CORS preflight request, or None if the request is not a preflight."""
        if (
            scope["method"] != "OPTIONS"
            or b"access-control-request-method" not in headers
            or headers.get(b"origin") not in self._headers
        ):
            return None
        request_headers = Headers(scope=scope)
        problem = self._problem(request_headers)
        if problem is not None:
            rejection = bad_request([InvalidField("preflight", problem)])
            return error_response(rejection, request_id, request_language(headers))
        # Not Starlette's own response, which judges a request by other rules and refuses it in plain text.
        return Response("OK", headers=self._preflight_headers, media_type="text/plain")

    def _problem(self, headers: Headers) -> Message | None:
        """Return what a preflight asks for that is not allowed, or None."""
        method = headers["access-control-request-method"]
        if method not in METHODS:
            return Message("method_not_in_cors", method=method[:MAX_NAME])
        asked = ",".join(headers.getlist("access-control-request-headers")).lower().split(",")
        disallowed = sorted({name.strip() for name in asked} - self._allowed_names - {""})
        if not disallowed:
            return None
        named = ", ".join(name[:MAX_NAME] for name in disallowed[:MAX_NAMED])
        return Message("headers_not_in_cors", names=named)


def _headers(origin: str) -> tuple[Header, ...]:
    return (
        VARY,
        (b"access-control-allow-origin", origin.encode()),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", ", ".join(EXPOSED).encode()),
    )


async def _unreachable_app(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("CORSMiddleware only renders preflight responses here")
