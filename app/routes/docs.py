"""The OpenAPI document, and Swagger UI, which shows it without loading anything from other hosts."""

import asyncio
import secrets
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from starlette.responses import Response

from app.endpoints.endpoint import Endpoint, Handler
from app.http.conditional import NO_CACHE, cached_response
from app.http.encoded_body import EncodedBody, encode_body
from app.http.raw_response import content_type
from app.state import ApiRequest

STATIC = Path(__file__).parent.parent / "static"
VIEWER = "fastapi_swagger"
"""The package that carries Swagger UI; only its files are used."""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def docs_endpoints(endpoints: Sequence[Endpoint]) -> tuple[Endpoint, ...]:
    """Return the endpoints that describe `endpoints` and the document itself."""
    encoded: list[EncodedBody] = []

    async def get_openapi(request: ApiRequest) -> Response:
        if not encoded:
            text = await asyncio.to_thread(_describe, (*endpoints, document))
            encoded.append(await encode_body(text, compress=True))
        return cached_response(request.state["context"].headers, encoded[0], NO_CACHE)

    document = Endpoint(
        method="GET",
        path="/openapi.json",
        handler=get_openapi,
        summary="Return the OpenAPI document",
        description="Return this description of the API, for programs.",
        tag="description",
        rate_limit=None,
        response=None,
    )
    viewer = _package_folder(VIEWER) / "resources"
    page = _page_endpoint("/docs", _show_page, "text/html", "Show the API's reference")
    return (
        document,
        page,
        _file_endpoint(viewer / "swagger-ui-bundle.js", "text/javascript"),
        _file_endpoint(viewer / "swagger-ui.css", "text/css"),
        _file_endpoint(STATIC / "docs.js", "text/javascript"),
        _file_endpoint(STATIC / "docs.css", "text/css"),
    )


def _describe(endpoints: Sequence[Endpoint]) -> bytes:
    """Return the OpenAPI document. Its models are imported when it is first asked for: that takes as long as a tenth
    of the start.
    """
    from app.endpoints.openapi import build_openapi  # noqa: PLC0415

    return build_openapi(endpoints)


def _package_folder(name: str) -> Path:
    """Return the folder of an installed package without importing it."""
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


async def _show_page(request: ApiRequest) -> Response:
    """Return the page with a nonce of its own: only what it names itself may run."""
    nonce = secrets.token_urlsafe(16)
    headers = {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY.format(nonce=nonce),
        "Cache-Control": "no-store",
    }
    page = (STATIC / "docs.html").read_text().replace("{nonce}", nonce)
    return Response(page, headers=headers, media_type="text/html")


def _file_endpoint(path: Path, media_type: str) -> Endpoint:
    encoded: list[EncodedBody] = []

    async def send_file(request: ApiRequest) -> Response:
        if not encoded:
            content = await asyncio.to_thread(path.read_bytes)
            encoded.append(await encode_body(content, compress=True))
        headers = request.state["context"].headers
        return cached_response(headers, encoded[0], NO_CACHE, content_type(media_type))

    return _page_endpoint(f"/docs/{path.name}", send_file, media_type, "Return a file of the reference")


def _page_endpoint(path: str, handler: Handler, media_type: str, summary: str) -> Endpoint:
    return Endpoint(
        method="GET",
        path=path,
        handler=handler,
        summary=summary,
        description="Return a part of the page on which people read and try out the API.",
        tag="description",
        rate_limit=None,
        # Of /docs: a file that does not exist is not counted either.
        rate_limit_subtree=path == "/docs",
        described=False,
        response=None,
        media_type=media_type,
    )
