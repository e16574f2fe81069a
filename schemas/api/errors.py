"""Error responses."""

from typing import Literal

from pydantic import Field

from schemas.api.model import ApiModel

ErrorCode = Literal[
    "bad_request",
    "unauthorized",
    "forbidden",
    "not_found",
    "method_not_allowed",
    "conflict",
    "too_large",
    "unsupported_media_type",
    "too_many_requests",
    "internal",
    "unavailable",
    "overloaded",
    "timeout",
    "no_index",
    "draining",
]

Detail = dict[Literal["field", "message"], str]
"""Name of an invalid field of the request, and a message that says what is wrong with it."""


class ErrorResponse(ApiModel):
    """The body of every response with a status of 400 or higher."""

    success: Literal[False]
    """False; other responses have true."""
    error: str
    """Error message for people."""
    code: ErrorCode
    """Stable error code for programs."""
    request_id: str
    """Id of the request, as in the header `X-Request-ID` and the server's log."""
    details: list[Detail] = Field(default_factory=list)
    """Invalid fields of the request; empty for other errors."""


class ProbeResponse(ApiModel):
    status: Literal["ok"]
    """The process is alive, or ready."""
