"""Envelopes of the answers; the entities in them are in `schemas.api.entities`."""

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
"""What is wrong with one field of a request."""


class ErrorResponse(BaseModel):
    """Every answer other than a success."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    success: Literal[False]
    error: str
    """A sentence for people."""
    code: ErrorCode
    """A stable word for programs."""
    request_id: str
    details: list[Detail] = []
    """Only where fields of the request are wrong."""


class Alive(BaseModel):
    status: Literal["ok"]
