"""Bodies on their way out."""

from typing import Any

import orjson

from app.middleware import security_headers
from app.prepared import IS_JSON, Prepared, content_length


def json_response(body: Any, *, status: int = 200) -> Prepared:
    """Of the API; what else is JSON may be kept."""
    text = orjson.dumps(body)
    return Prepared(status, (content_length(len(text)), IS_JSON, *security_headers.OF_THE_API), (text,))
