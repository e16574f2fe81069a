"""Request ids."""

import re

from app.http.raw_response import RequestHeaders
from core.random_ids import random_hex

VALID_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")


def request_id(headers: RequestHeaders) -> str:
    """Return the id that the client sent, if it is valid, or else a new one."""
    given = headers.get(b"x-request-id")
    return given.decode() if given is not None and VALID_REQUEST_ID.fullmatch(given) else random_hex()
