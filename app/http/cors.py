"""CORS for the API's paths, errors included. An origin that is not allowed gets no CORS header at all."""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.http.errors import bad_request, error_response
from app.http.raw_response import Header, RequestHeaders

METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS")
HEADERS = ("Content-Type", "Authorization", "X-Session-ID", "X-Request-ID")
EXPOSED = ("X-Request-ID", "Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")

VARY = (b"vary", b"Origin")
"""On every response, so that no cache serves one origin's response to another."""

DEFAULT_HEADERS = (VARY,)


class CorsPolicy:
    def __init__(self, allowed_origins: Sequence[str]) -> None:
        self._headers = {origin.encode(): _headers(origin) for origin in allowed_origins}
        self._preflight = CORSMiddleware(
            _unreachable_app,
            allow_origins=allowed_origins,
            allow_credentials=True,
            allow_methods=METHODS,
            allow_headers=HEADERS,
        )

    def headers(self, origin: bytes | None) -> Sequence[Header]:
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
        response = self._preflight.preflight_response(Headers(scope=scope))
        if response.status_code != 200:
            disallowed = bytes(response.body).decode().removeprefix("Disallowed CORS ")
            problem = f"asks for what is not allowed ({disallowed})"
            return error_response(bad_request([{"field": "preflight", "message": problem}]), request_id)
        # The middleware adds these to every response.
        del response.headers["vary"], response.headers["access-control-allow-origin"]
        del response.headers["access-control-allow-credentials"]
        return response


def _headers(origin: str) -> tuple[Header, ...]:
    return (
        VARY,
        (b"access-control-allow-origin", origin.encode()),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", ", ".join(EXPOSED).encode()),
    )


async def _unreachable_app(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("CORSMiddleware only renders preflight responses here")
