"""Bodies on their way out."""

from typing import Any

import orjson
from starlette.requests import Request

from app.http import security_headers
from app.http.conditional import accepts_gzip
from app.http.encoded_body import SMALLEST_TO_COMPRESS, gzip_of
from app.http.raw_response import (
    CONTENT_ENCODING_GZIP,
    CONTENT_TYPE_JSON,
    VARY_ACCEPT_ENCODING,
    Header,
    RawResponse,
    content_length,
)


def json_response(request: Request[Any], body: Any, *, status: int = 200) -> RawResponse:
    """That no cache may keep; see `app.http.conditional` for those that may."""
    text = orjson.dumps(body)
    coding: tuple[Header, ...] = ()
    if len(text) >= SMALLEST_TO_COMPRESS:
        coding = (VARY_ACCEPT_ENCODING,)
        if accepts_gzip(request.headers.get("accept-encoding", "").encode("latin-1")):
            text, coding = gzip_of(text), (VARY_ACCEPT_ENCODING, CONTENT_ENCODING_GZIP)
    return RawResponse(
        status, (content_length(len(text)), CONTENT_TYPE_JSON, *coding, *security_headers.API_HEADERS), (text,)
    )
