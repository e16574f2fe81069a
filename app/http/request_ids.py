"""Every request has an id: the client's if it sent a sane one, else a new one."""

import re
from uuid import uuid4

from app.http.raw_response import RequestHeaders

VALID_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")


def request_id(fields: RequestHeaders) -> str:
    given = fields.get(b"x-request-id", b"")
    return given.decode() if VALID_REQUEST_ID.fullmatch(given) else uuid4().hex
