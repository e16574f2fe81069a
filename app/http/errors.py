"""HTTP errors, and the one shape in which clients receive them."""

from collections.abc import Mapping, Sequence

import orjson
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.http.raw_response import JSON
from core.errors import (
    BackendUnavailableError,
    ConflictError,
    ExpectedError,
    NotAuthenticatedError,
    NotAuthorizedError,
    OverloadedError,
)
from schemas.api.errors import Detail, ErrorCode

MAX_DETAILS = 20
"""Invalid fields that a response names; a request can have thousands."""


class ApiError(ExpectedError):
    """An error response: `message` is a sentence for people, `code` a stable word for programs."""

    def __init__(
        self,
        status: int,
        code: ErrorCode,
        message: str,
        *,
        details: Sequence[Detail] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.headers = dict(headers or {})


def bad_request(details: Sequence[Detail]) -> ApiError:
    details = details[:MAX_DETAILS]
    wrong = "; ".join(f"{detail['field']} {detail['message']}" for detail in details)
    return ApiError(400, "bad_request", f"Please correct: {wrong}.", details=details)


def not_found(thing: str) -> ApiError:
    return ApiError(404, "not_found", f"{thing} not found")


def too_large(limit: int) -> ApiError:
    return ApiError(413, "too_large", f"The request body is too large: it may have {limit // 1024} KiB.")


def unavailable(what: str, *, retry_after: int = 2) -> ApiError:
    """Return a 503 for a backend that is down. The web client retries once when the message says "connection"."""
    message = f"The connection to {what} is not working at the moment. Please try again shortly."
    return ApiError(503, "unavailable", message, headers={"Retry-After": str(retry_after)})


def overloaded(*, retry_after: int = 1) -> ApiError:
    """Return a 503 for a process without capacity. The web client retries, as for `unavailable`."""
    message = "There are too many connections at the moment. Please try again shortly."
    return ApiError(503, "overloaded", message, headers={"Retry-After": str(retry_after)})


def timed_out(*, retry_after: int = 2) -> ApiError:
    """Return a 503 for a response that took too long. The web client retries, as for `unavailable`."""
    message = "The answer was not ready before its timeout. Please try again shortly."
    return ApiError(503, "timeout", message, headers={"Retry-After": str(retry_after)})


def to_api_error(error: ExpectedError) -> ApiError:
    """Return the response for an error raised below HTTP."""
    match error:
        case ApiError():
            return error
        case BackendUnavailableError():
            return unavailable(error.backend, retry_after=error.retry_after)
        case OverloadedError():
            return overloaded(retry_after=error.retry_after)
        case ConflictError():
            return ApiError(409, error.code, str(error))
        case NotAuthenticatedError():
            return ApiError(401, error.code, str(error), headers={"WWW-Authenticate": "Bearer"})
        case NotAuthorizedError():
            return ApiError(403, error.code, str(error))
        case _:
            raise TypeError(f"{type(error).__name__} has no response; add one here")


def request_timeout() -> ApiError:
    """Return a 408: the client sends its body too slowly. The connection cannot be reused."""
    message = "The request took too long to arrive."
    return ApiError(408, "timeout", message, headers={"Connection": "close"})


def rate_limited(retry_after: int, headers: Mapping[str, str]) -> ApiError:
    """Return a 429, in words after which the web client does not retry by itself."""
    message = f"You have made too many requests. Please wait {retry_after} seconds and try again."
    return ApiError(429, "too_many_requests", message, headers={**headers, "Retry-After": str(retry_after)})


def validation_error(error: ValidationError) -> ApiError:
    """Return a 400 that lists the errors of pydantic, field by field."""
    details: list[Detail] = [
        {"field": ".".join(map(str, problem["loc"])) or "body", "message": _lower_first(problem["msg"])}
        for problem in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    return bad_request(details)


def _lower_first(text: str) -> str:
    text = text.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def error_response(error: ApiError, request_id: str) -> Response:
    body: dict[str, object] = {
        "success": False,
        "error": error.message,
        "code": error.code,
        "request_id": request_id,
    }
    if error.details:
        body["details"] = list(error.details)
    return Response(orjson.dumps(body), status_code=error.status, headers=error.headers, media_type=JSON)


_STARLETTE_ERRORS: dict[int, tuple[ErrorCode, str]] = {
    404: ("not_found", "Endpoint not found"),
    405: ("method_not_allowed", "Method not allowed here"),
}


def from_http_exception(error: HTTPException) -> ApiError:
    """Return the ApiError for an error of Starlette itself: no such route, or not with this method."""
    code, message = _STARLETTE_ERRORS.get(error.status_code, ("bad_request", error.detail))
    headers = dict(error.headers or {})
    if "Allow" in headers:
        # Starlette joins a set; sorted, equal requests get equal responses from every process.
        headers["Allow"] = ", ".join(sorted(headers["Allow"].split(", ")))
    return ApiError(error.status_code, code, message, headers=headers)
