"""Cached bodies over HTTP: compressed or not, or not at all when the client has them."""

import re
from functools import lru_cache
from typing import Any

from starlette.requests import HTTPConnection
from starlette.responses import Response

from app.answers import JSON
from app.cache import CachedBody

REFERENCE = "public, s-maxage=3600, stale-while-revalidate=86400"
"""For what changes rarely: a gateway may keep it for an hour."""

REVALIDATE = "no-cache"
"""May be kept, but is asked for again each time."""


def cached_response(request: HTTPConnection[Any], body: CachedBody, cache_control: str) -> Response:
    headers = request.headers
    gzipped = body.gzip is not None and accepts_gzip(headers.get("accept-encoding", ""))
    etag = _gzip_tag(body) if gzipped else _identity_tag(body)
    answer = {
        "ETag": etag,
        "Cache-Control": REVALIDATE if body.stale else cache_control,
        "Vary": "Accept-Encoding",
    }
    known = headers.get("if-none-match")
    if known is not None and (held := _held(known, body, etag)):
        return Response(status_code=304, headers={**answer, "ETag": held})
    if gzipped:
        answer["Content-Encoding"] = "gzip"
    return Response(body.gzip if gzipped else body.identity, headers=answer, media_type=JSON)


def _identity_tag(body: CachedBody) -> str:
    return f'"{body.etag}"'


def _gzip_tag(body: CachedBody) -> str:
    """Of its own: a strong tag stands for exact bytes."""
    return f'"{body.etag}-gzip"'


def _held(if_none_match: str, body: CachedBody, selected: str) -> str | None:
    """The tag under which the client holds this body: whichever form it has says the same."""
    if if_none_match.strip() == "*":
        return selected
    tags = _TAG.findall(if_none_match)
    return next((tag for tag in (selected, _identity_tag(body), _gzip_tag(body)) if tag in tags), None)


_TAG = re.compile(r'(?:W/)?("[^"]*")')


@lru_cache(maxsize=256)
def accepts_gzip(accept_encoding: str) -> bool:
    """By quality: 0 refuses, and `*` speaks for every coding that is not named."""
    qualities = dict(_coding(part) for part in accept_encoding.lower().split(","))
    quality = qualities.get("gzip", qualities.get("*", 0.0))
    return quality > 0 and quality >= qualities.get("identity", 0.0)


def _coding(part: str) -> tuple[str, float]:
    name, _, parameter = part.partition(";")
    _, _, quality = parameter.partition("=")
    try:
        return name.strip(), float(quality) if parameter.strip() else 1.0
    except ValueError:
        return name.strip(), 0.0
