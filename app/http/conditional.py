"""Conditional requests and content encoding for cached bodies: ETag, 304, gzip."""

import re
from functools import lru_cache

from app.http import security_headers
from app.http.accept_header import parse_qualities
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
"""For data that changes rarely: shared caches may store it for an hour."""

NO_CACHE = "no-cache"
"""Caches may store it, but revalidate it for each request."""

STALE = '110 - "Response is Stale"'
"""Value of the `Warning` header (RFC 7234) of a body that may be outdated."""

MAX_CACHED_HEADER = 200
"""Bytes of a request header whose evaluation is cached."""


def cached_response(
    headers: RequestHeaders, body: EncodedBody, cache_control: str, media_type: Header = CONTENT_TYPE_JSON
) -> RawResponse:
    """Return the body, gzipped if the client accepts it, or 304 if the client has it.

    A stale body has a `Warning` header, and is not cached.
    """
    gzipped = body.gzip if accepts_gzip_response(headers) else None
    content = body.identity if gzipped is None else gzipped
    etag = _identity_tag(body) if gzipped is None else _gzip_tag(body)
    control = None if body.stale else cache_control
    if_none_match = headers.get(b"if-none-match")
    if if_none_match is not None and (match := _matching_etag(if_none_match.decode("latin-1"), body, etag)):
        return RawResponse(304, _caching_headers(match, control), ())
    return RawResponse(200, _headers(etag, control, len(content), gzipped is not None, media_type), (content,))


@lru_cache(maxsize=1024)
def _headers(etag: str, control: str | None, length: int, gzipped: bool, media_type: Header) -> tuple[Header, ...]:
    encoding = (CONTENT_ENCODING_GZIP,) if gzipped else ()
    return (content_length(length), media_type, *encoding, *_caching_headers(etag, control))


def _caching_headers(etag: str, control: str | None) -> tuple[Header, ...]:
    """Return what clients need for their cache; without `control` the body is stale."""
    warning = () if control else ((b"warning", STALE.encode()),)
    return (
        (b"etag", etag.encode()),
        (b"cache-control", (control or NO_CACHE).encode()),
        VARY_ACCEPT_ENCODING,
        *warning,
        *security_headers.HEADERS,
    )


def _identity_tag(body: EncodedBody) -> str:
    return f'"{body.etag}"'


def _gzip_tag(body: EncodedBody) -> str:
    """Return a tag other than the uncompressed body's: a strong tag identifies exact bytes."""
    return f'"{body.etag}-gzip"'


def _matching_etag(if_none_match: str, body: EncodedBody, selected: str) -> str | None:
    """Return the tag under which the client has this body, compressed or not, or None."""
    if if_none_match.strip() == "*":
        return selected
    tags = _TAG.findall(if_none_match)
    return next((tag for tag in (selected, _identity_tag(body), _gzip_tag(body)) if tag in tags), None)


_TAG = re.compile(r'(?:W/)?("[^"]*")')


def accepts_gzip_response(headers: RequestHeaders) -> bool:
    return accepts_gzip(headers.get(b"accept-encoding", b""))


def accepts_gzip(accept_encoding: bytes) -> bool:
    """Return whether a header Accept-Encoding accepts gzip; a long one, which no browser sends, is not cached."""
    evaluate = _accepts_gzip if len(accept_encoding) <= MAX_CACHED_HEADER else _accepts_gzip.__wrapped__
    return evaluate(accept_encoding)


@lru_cache(maxsize=256)
def _accepts_gzip(accept_encoding: bytes) -> bool:
    """Evaluate the quality values: 0 excludes a coding, and `*` stands for every coding that is not named."""
    qualities = parse_qualities(accept_encoding.decode("latin-1"))
    quality = qualities.get("gzip", qualities.get("*", 0.0))
    return quality > 0 and quality >= qualities.get("identity", 0.0)
