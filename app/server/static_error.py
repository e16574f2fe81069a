"""Refusals that the application never hears of, as bytes: made once, but for the request's id and origin.

They look like the application's own, and cost a tenth.
"""

from collections.abc import Iterable, Sequence

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.http import security_headers
from app.http.cors import Cors
from app.http.errors import ApiError, error_response
from app.http.raw_response import CLOSE, Fields, Header, content_length, lines
from app.http.request_ids import request_id

ID = "<id>"


class Refusal:
    def __init__(self, error: ApiError, allowed_origins: Sequence[str]) -> None:
        answer = error_response(error, ID)
        headers = [header for header in answer.raw_headers if header[0] != b"content-length"]
        self._head = STATUS_LINE[error.status] + lines([*headers, *security_headers.OF_THE_API])
        self._before, _, self._after = bytes(answer.body).partition(ID.encode())
        self._cors = Cors(allowed_origins)

    def answer(self, fields: Fields, more: Iterable[Header], *, close: bool, head: bool = False) -> bytes:
        """To a request with the headers `fields`; `more` are headers, `head` leaves the body out."""
        asked = request_id(fields).encode()
        body = b"".join((self._before, asked, self._after))
        own = ((b"x-request-id", asked), content_length(len(body)), *((CLOSE,) if close else ()))
        headers = lines((*self._cors.headers(fields.get(b"origin")), *more, *own))
        return b"%b%b\r\n%b" % (self._head, headers, b"" if head else body)
