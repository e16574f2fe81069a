"""The OpenAPI document, and a page that shows it without loading anything from other hosts."""

from collections.abc import Sequence
from pathlib import Path

from starlette.responses import Response

from app.endpoints.endpoint import Endpoint, Handler
from app.endpoints.openapi import build_openapi
from app.http.conditional import NO_CACHE, cached_response
from app.http.encoded_body import EncodedBody, encode_body
from app.state import ApiRequest

STATIC = Path(__file__).parent.parent / "static"

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def docs_endpoints(endpoints: Sequence[Endpoint]) -> tuple[Endpoint, ...]:
    """Return the endpoints that describe `endpoints` and themselves."""
    encoded: list[EncodedBody] = []

    async def get_openapi(request: ApiRequest) -> Response:
        if not encoded:
            encoded.append(await encode_body(build_openapi((*endpoints, *own)), compress=True))
        return cached_response(request.state["context"].headers, encoded[0], NO_CACHE)

    own = (
        Endpoint(
            method="GET",
            path="/openapi.json",
            handler=get_openapi,
            summary="Return the OpenAPI document",
            description="Return this description of the API, for programs.",
            tag="description",
            rate_limit=None,
            response=None,
        ),
        _file_endpoint(
            "/docs",
            "docs.html",
            "text/html",
            summary="Show the API's page",
            description="Return a page on which people can read and try out the API.",
        ),
        _file_endpoint(
            "/docs/docs.js",
            "docs.js",
            "text/javascript",
            summary="Return the page's script",
            description="Return the script of the API's page.",
        ),
        _file_endpoint(
            "/docs/docs.css",
            "docs.css",
            "text/css",
            summary="Return the page's style sheet",
            description="Return the style sheet of the API's page.",
        ),
    )
    return own


def _file_endpoint(path: str, name: str, media_type: str, *, summary: str, description: str) -> Endpoint:
    return Endpoint(
        method="GET",
        path=path,
        handler=_send_bytes((STATIC / name).read_bytes(), media_type),
        summary=summary,
        description=description,
        tag="description",
        rate_limit=None,
        # Of /docs: a file that does not exist is not counted either.
        rate_limit_subtree=path == "/docs",
        described=False,
        response=None,
        media_type=media_type,
    )


def _send_bytes(content: bytes, media_type: str) -> Handler:
    async def send_bytes(request: ApiRequest) -> Response:
        headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Cache-Control": NO_CACHE}
        return Response(content, headers=headers, media_type=media_type)

    return send_bytes
