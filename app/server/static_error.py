"""Refusals that the application never hears of, as bytes: made once, but for the request's id and origin.

They look like the application's own, and cost a tenth.
"""

from collections.abc import Iterable, Sequence

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.http import security_headers
from app.http.cors import CorsPolicy
from app.http.errors import ApiError, error_response
from app.http.raw_response import CONNECTION_CLOSE, Header, RequestHeaders, content_length, encode_headers
from app.http.request_ids import request_id

ID = "<id>"


class StaticErrorResponse:
    def __init__(self, error: ApiError, allowed_origins: Sequence[str]) -> None:
        answer = error_response(error, ID)
        headers = [header for header in answer.raw_headers if header[0] != b"content-length"]
        self._head = STATUS_LINE[error.status] + encode_headers([*headers, *security_headers.API_HEADERS])
        self._before, _, self._after = bytes(answer.body).partition(ID.encode())
        self._cors = CorsPolicy(allowed_origins)

    def answer(self, fields: RequestHeaders, more: Iterable[Header], *, close: bool, head: bool = False) -> bytes:
        """To a request with the headers `fields`; `more` are headers, `head` leaves the body out."""
        asked = request_id(fields).encode()
        body = b"".join((self._before, asked, self._after))
        own = ((b"x-request-id", asked), content_length(len(body)), *((CONNECTION_CLOSE,) if close else ()))
        headers = encode_headers((*self._cors.headers(fields.get(b"origin")), *more, *own))
        return b"%b%b\r\n%b" % (self._head, headers, b"" if head else body)
