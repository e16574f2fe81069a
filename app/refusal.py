"""Refusals that the application never hears of, as bytes: made once, but for the request's id and origin.

They look like the application's own, and cost a tenth.
"""

from collections.abc import Iterable, Mapping, Sequence

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.errors import ApiError, error_response
from app.middleware import security_headers
from app.middleware.cors import Cors
from app.middleware.request_id import request_id
from app.prepared import lines

ID = "<id>"


class Refusal:
    def __init__(self, error: ApiError, allowed_origins: Sequence[str]) -> None:
        answer = error_response(error, ID)
        headers = [header for header in answer.raw_headers if header[0] != b"content-length"]
        self._head = STATUS_LINE[error.status] + lines([*headers, *security_headers.OF_THE_API])
        self._before, _, self._after = bytes(answer.body).partition(ID.encode())
        self._cors = Cors(allowed_origins)

    def answer(
        self, fields: Mapping[bytes, bytes], more: Iterable[tuple[bytes, bytes]], *, close: bool, head: bool = False
    ) -> bytes:
        """To a request with the headers `fields`; `more` are headers, `head` leaves the body out."""
        asked = request_id(fields.get(b"x-request-id", b"")).encode()
        body = b"".join((self._before, asked, self._after))
        headers = (*self._cors.headers(fields.get(b"origin")), (b"x-request-id", asked), *more)
        last = b"connection: close\r\n" if close else b""
        shown = b"" if head else body
        return b"%b%b%bcontent-length: %d\r\n\r\n%b" % (self._head, lines(headers), last, len(body), shown)
