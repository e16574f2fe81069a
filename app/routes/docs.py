"""The API described: for programs as OpenAPI, for people as a page that needs nothing from elsewhere."""

from collections.abc import Sequence
from pathlib import Path

from starlette.responses import Response

from app.endpoints.endpoint import Endpoint, Handler
from app.endpoints.openapi import build_openapi
from app.http.conditional import NO_CACHE, cached_response
from app.http.encoded_body import EncodedBody, encode_body
from app.state import ApiRequest

STATIC = Path(__file__).parent.parent / "static"

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def docs_endpoints(endpoints: Sequence[Endpoint]) -> tuple[Endpoint, ...]:
    """Endpoints that describe the others and themselves."""
    described: list[EncodedBody] = []

    async def openapi(request: ApiRequest) -> Response:
        if not described:
            described.append(await encode_body(build_openapi((*endpoints, *own)), compress=True))
        return cached_response(request.state["context"].headers, described[0], NO_CACHE)

    own = (
        Endpoint(
            method="GET",
            path="/openapi.json",
            handler=openapi,
            summary="This description, for programs",
            tag="description",
            rate_limit=None,
            answer=None,
        ),
        _file("/docs", "docs.html", "text/html", summary="This description, for people"),
        _file("/docs/docs.js", "docs.js", "text/javascript", summary="The page's script"),
        _file("/docs/docs.css", "docs.css", "text/css", summary="The page's style"),
    )
    return own


def _file(path: str, name: str, media_type: str, *, summary: str) -> Endpoint:
    return Endpoint(
        method="GET",
        path=path,
        handler=_static((STATIC / name).read_bytes(), media_type),
        summary=summary,
        tag="description",
        rate_limit=None,
        rate_limit_subtree=path == "/docs",
        answer=None,
        media_type=media_type,
    )


def _static(content: bytes, media_type: str) -> Handler:
    async def send(request: ApiRequest) -> Response:
        headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": NO_CACHE}
        return Response(content, headers=headers, media_type=media_type)

    return send
