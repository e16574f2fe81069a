"""CORS for the API's paths, errors included: an origin that is not on the list gets no CORS header at all."""

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
"""Of all answers, so that no cache gives one origin what was said to another."""

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
        """What an answer has to say to this origin."""
        return self._headers.get(origin, DEFAULT_HEADERS) if origin is not None else DEFAULT_HEADERS

    def preflight(self, scope: Scope, fields: RequestHeaders, request_id: str) -> Response | None:
        """The answer to a browser that asks whether it may ask; None if this is no such question."""
        if (
            scope["method"] != "OPTIONS"
            or b"access-control-request-method" not in fields
            or fields.get(b"origin") not in self._headers
        ):
            return None
        answer = self._preflight.preflight_response(Headers(scope=scope))
        if answer.status_code != 200:
            what = bytes(answer.body).decode().removeprefix("Disallowed CORS ")
            refusal = bad_request([{"field": "preflight", "message": f"asks for what is not allowed ({what})"}])
            return error_response(refusal, request_id)
        # Those that every answer gets.
        del answer.headers["vary"], answer.headers["access-control-allow-origin"]
        del answer.headers["access-control-allow-credentials"]
        return answer


def _headers(origin: str) -> tuple[Header, ...]:
    return (
        VARY,
        (b"access-control-allow-origin", origin.encode()),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", ", ".join(EXPOSED).encode()),
    )


async def _unreachable_app(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("only preflights are asked of it")
