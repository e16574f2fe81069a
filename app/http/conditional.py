"""Cached bodies over HTTP: compressed or not, or not at all when the client has them."""

import re
from functools import lru_cache

from app.http import security_headers
from app.http.encoded_body import EncodedBody
from app.http.raw_response import (
    CONTENT_ENCODING_GZIP,
    CONTENT_TYPE_JSON,
    VARY_ACCEPT_ENCODING,
    Header,
    RawResponse,
    RequestHeaders,
    content_length,
)

PUBLIC_ONE_HOUR = "public, s-maxage=3600, stale-while-revalidate=86400"
"""For what changes rarely: a gateway may keep it for an hour."""

NO_CACHE = "no-cache"
"""May be kept, but is asked for again each time."""


def cached_response(fields: RequestHeaders, body: EncodedBody, cache_control: str) -> RawResponse:
    gzipped = body.gzip if accepts_gzip_response(fields) else None
    content = body.identity if gzipped is None else gzipped
    etag = _identity_tag(body) if gzipped is None else _gzip_tag(body)
    control = NO_CACHE if body.stale else cache_control
    known = fields.get(b"if-none-match")
    if known is not None and (held := _matching_etag(known.decode("latin-1"), body, etag)):
        return RawResponse(304, _caching(held, control), ())
    return RawResponse(200, _headers(etag, control, len(content), gzipped is not None), (content,))


@lru_cache(maxsize=1024)
def _headers(etag: str, control: str, length: int, gzipped: bool) -> tuple[Header, ...]:
    coding = (CONTENT_ENCODING_GZIP,) if gzipped else ()
    return (content_length(length), CONTENT_TYPE_JSON, *coding, *_caching(etag, control))


def _caching(etag: str, control: str) -> tuple[Header, ...]:
    return (
        (b"etag", etag.encode()),
        (b"cache-control", control.encode()),
        VARY_ACCEPT_ENCODING,
        *security_headers.HEADERS,
    )


def _identity_tag(body: EncodedBody) -> str:
    return f'"{body.etag}"'


def _gzip_tag(body: EncodedBody) -> str:
    """Of its own: a strong tag stands for exact bytes."""
    return f'"{body.etag}-gzip"'


def _matching_etag(if_none_match: str, body: EncodedBody, selected: str) -> str | None:
    """The tag under which the client holds this body: whichever form it has says the same."""
    if if_none_match.strip() == "*":
        return selected
    tags = _TAG.findall(if_none_match)
    return next((tag for tag in (selected, _identity_tag(body), _gzip_tag(body)) if tag in tags), None)


_TAG = re.compile(r'(?:W/)?("[^"]*")')


def accepts_gzip_response(fields: RequestHeaders) -> bool:
    return accepts_gzip(fields.get(b"accept-encoding", b""))


@lru_cache(maxsize=256)
def accepts_gzip(accept_encoding: bytes) -> bool:
    """By quality: 0 refuses, and `*` speaks for every coding that is not named."""
    qualities = dict(_coding(part) for part in accept_encoding.decode("latin-1").lower().split(","))
    quality = qualities.get("gzip", qualities.get("*", 0.0))
    return quality > 0 and quality >= qualities.get("identity", 0.0)


def _coding(part: str) -> tuple[str, float]:
    name, _, parameter = part.partition(";")
    _, _, quality = parameter.partition("=")
    try:
        return name.strip(), float(quality) if parameter.strip() else 1.0
    except ValueError:
        return name.strip(), 0.0
