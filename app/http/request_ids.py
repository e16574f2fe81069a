"""Request ids."""

import re
from uuid import uuid4

from app.http.raw_response import RequestHeaders

VALID_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")


def request_id(headers: RequestHeaders) -> str:
    """Return the id that the client sent, if it is valid, or else a new one."""
    given = headers.get(b"x-request-id", b"")
    return given.decode() if VALID_REQUEST_ID.fullmatch(given) else uuid4().hex
