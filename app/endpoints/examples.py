"""Examples of requests and responses in the OpenAPI document.

Those of success are recorded from a running service: tests/app/endpoints/test_examples.py compares them and writes the
file anew. Those of errors are made by the functions that make the errors.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from app.http import errors
from app.http.errors import ApiError, InvalidField, error_response
from app.http.requests import MAX_BODY
from app.lifecycle.required_backends import not_ready
from core.errors import ConflictError, NotAuthenticatedError, NotAuthorizedError
from schemas.messages.message import Message
from schemas.messages.text import DEFAULT_LANGUAGE

RECORDED = Path(__file__).parent.parent / "static" / "examples.json"
REQUEST_ID = "0b6c2f4e8a7d4c1f9e3b5a6d7c8e9f01"

ERRORS: Mapping[int, tuple[ApiError, ...]] = {
    400: (errors.bad_request([InvalidField("limit", Message("not_between", low=1, high=100))]),),
    401: (errors.to_api_error(NotAuthenticatedError(Message("credentials_required"))),),
    403: (errors.to_api_error(NotAuthorizedError(Message("administrators_only"))),),
    404: (errors.not_found("Country"),),
    408: (errors.request_timeout(),),
    409: (errors.to_api_error(ConflictError(Message("reindex_running"))),),
    413: (errors.too_large(MAX_BODY),),
    415: (ApiError(415, "unsupported_media_type", Message("json_required")),),
    429: (errors.rate_limited(30, {}),),
    500: (errors.internal_error(),),
    503: (
        errors.overloaded(),
        errors.timed_out(),
        errors.unavailable(Message("database")),
        not_ready("no_index", Message("index_not_built")),
        not_ready("draining", Message("draining")),
    ),
}
"""An error of each code that responses with a status have, by status."""


def error_examples(status: int) -> dict[str, Any]:
    """Return example bodies of an error status, by code."""
    return {
        error.code: {
            "summary": str(error),
            "value": orjson.loads(error_response(error, REQUEST_ID, DEFAULT_LANGUAGE).body),
        }
        for error in ERRORS[status]
    }


@cache
def recorded_examples() -> Mapping[str, Mapping[str, Any]]:
    """Return recorded `request`, `parameters` and `response` by operation id."""
    content: dict[str, dict[str, Any]] = orjson.loads(RECORDED.read_bytes())
    return content
