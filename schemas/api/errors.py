"""Error responses."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

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


class ErrorResponse(BaseModel):
    """The body of every response with a status of 400 or higher."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    success: Literal[False]
    error: str
    """Error message for people."""
    code: ErrorCode
    """Stable error code for programs."""
    request_id: str
    """Id of the request, as in the header `X-Request-ID` and the server's log."""
    details: list[Detail] = []
    """Invalid fields of the request; empty for other errors."""


class ProbeResponse(BaseModel):
    status: Literal["ok"]
