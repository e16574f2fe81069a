"""JSON responses of handlers, compressed if the client accepts it. For cached bodies see `app.http.conditional`."""

from typing import Any

import orjson
from pydantic import BaseModel
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
from schemas.api.entities import to_json


def json_response(
    request: Request[Any],
    body: BaseModel | dict[str, Any],
    *,
    status: int = 200,
    headers: tuple[Header, ...] = security_headers.API_HEADERS,
) -> RawResponse:
    """Return a response to `request`; by default no cache may store it."""
    text = to_json(body) if isinstance(body, BaseModel) else orjson.dumps(body)
    encoding: tuple[Header, ...] = ()
    if len(text) >= SMALLEST_TO_COMPRESS:
        encoding = (VARY_ACCEPT_ENCODING,)
        if accepts_gzip(request.headers.get("accept-encoding", "").encode("latin-1")):
            text, encoding = gzip_of(text), (VARY_ACCEPT_ENCODING, CONTENT_ENCODING_GZIP)
    return RawResponse(status, (content_length(len(text)), CONTENT_TYPE_JSON, *encoding, *headers), (text,))
