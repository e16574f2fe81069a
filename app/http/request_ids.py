"""Every request has an id: the client's if it sent a sane one, else a new one."""

import re

from app.http.raw_response import Fields
from app.ids import new_hex

SANE = re.compile(rb"[A-Za-z0-9._-]{8,64}")


def request_id(fields: Fields) -> str:
    given = fields.get(b"x-request-id", b"")
    return given.decode() if SANE.fullmatch(given) else new_hex()
