"""Bodies on their way out."""

from typing import Any

import orjson
from starlette.requests import Request

from app.http import security_headers
from app.http.conditional import takes_gzip
from app.http.encoded_body import SMALLEST_TO_COMPRESS, gzip_of
from app.http.raw_response import GZIPPED, IS_JSON, VARIES, Header, Prepared, content_length


def json_response(request: Request[Any], body: Any, *, status: int = 200) -> Prepared:
    """That no cache may keep; see `app.http.conditional` for those that may."""
    text = orjson.dumps(body)
    coding: tuple[Header, ...] = ()
    if len(text) >= SMALLEST_TO_COMPRESS:
        coding = (VARIES,)
        if takes_gzip(request.state["fields"]):
            text, coding = gzip_of(text), (VARIES, GZIPPED)
    return Prepared(status, (content_length(len(text)), IS_JSON, *coding, *security_headers.OF_THE_API), (text,))
