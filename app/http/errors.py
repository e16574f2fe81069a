"""HTTP errors, and the one shape in which clients receive them."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import orjson
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.http.raw_response import JSON
from core.errors import (
    BackendUnavailableError,
    ConflictError,
    DatabaseBlockedError,
    DatabaseDiffersError,
    ExpectedError,
    NotAuthenticatedError,
    NotAuthorizedError,
    OverloadedError,
)
from schemas.api.errors import Detail, ErrorCode
from schemas.messages.message import Message
from schemas.messages.text import Language
from schemas.messages.validation import message_of

MAX_DETAILS = 20
"""Invalid fields that a response names; a request can have thousands."""


Thing = Literal["Company", "Country", "Guide", "Occurrence", "Template"]
"""What a path with an id may not find."""


class InvalidField(NamedTuple):
    name: str
    problem: Message

    def detail(self, language: Language) -> Detail:
        return {"field": self.name, "message": self.problem.text(language)}


class ApiError(ExpectedError):
    """An error response: `message` is a sentence for people, `code` a stable word for programs."""

    def __init__(
        self,
        status: int,
        code: ErrorCode,
        message: Message,
        *,
        details: Sequence[InvalidField] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.headers = dict(headers or {})

    def __str__(self) -> str:
        return str(self.message)


def bad_request(details: Sequence[InvalidField]) -> ApiError:
    details = details[:MAX_DETAILS]
    fields = tuple(Message("field", name=name, problem=problem) for name, problem in details)
    return ApiError(400, "bad_request", Message("invalid_fields", fields=fields), details=details)


def not_found(thing: Thing) -> ApiError:
    return ApiError(404, "not_found", Message(f"{thing.lower()}_not_found"))


def scenarios_not_found(ids: Sequence[int]) -> ApiError:
    key = "scenario_not_found" if len(ids) == 1 else "scenarios_not_found"
    return ApiError(404, "not_found", Message(key, ids=", ".join(map(str, ids))))


def weights_not_found() -> ApiError:
    return ApiError(404, "not_found", Message("weights_not_found"))


def too_large(limit: int) -> ApiError:
    return ApiError(413, "too_large", Message("body_too_large", limit=limit // 1024))


def internal_error() -> ApiError:
    """Return a 500 for an error that nothing expects: a bug."""
    return ApiError(500, "internal", Message("internal"))


def unavailable(backend: Message, *, retry_after: int = 2) -> ApiError:
    """Return a 503 for a backend that is down. The web client retries once when the message says "connection"."""
    message = Message("backend_unavailable", backend=backend)
    return ApiError(503, "unavailable", message, headers={"Retry-After": str(retry_after)})


def overloaded(*, retry_after: int = 1) -> ApiError:
    """Return a 503 for a process without capacity. The web client retries, as for `unavailable`."""
    return ApiError(503, "overloaded", Message("overloaded"), headers={"Retry-After": str(retry_after)})


def timed_out(*, retry_after: int = 2) -> ApiError:
    """Return a 503 for a response that took too long. The web client retries, as for `unavailable`."""
    return ApiError(503, "timeout", Message("response_timeout"), headers={"Retry-After": str(retry_after)})


def to_api_error(error: ExpectedError) -> ApiError:
    """Return the response for an error raised below HTTP."""
    match error:
        case ApiError():
            return error
        case BackendUnavailableError():
            return _unavailable(error)
        case OverloadedError():
            return overloaded(retry_after=error.retry_after)
        case ConflictError():
            return ApiError(409, error.code, error.message)
        case NotAuthenticatedError():
            return ApiError(401, error.code, error.message, headers={"WWW-Authenticate": "Bearer"})
        case NotAuthorizedError():
            return ApiError(403, error.code, error.message)
        case _:
            raise TypeError(f"{type(error).__name__} has no response; add one here")


def _unavailable(error: BackendUnavailableError) -> ApiError:
    match error:
        case DatabaseDiffersError():
            message = Message("database_lacks_what_is_needed")
        case DatabaseBlockedError():
            message = Message("database_is_locked", pid=error.pid, locks=error.locks)
        case _:
            return unavailable(error.backend, retry_after=error.retry_after)
    return ApiError(503, error.code, message, headers={"Retry-After": str(error.retry_after)})


def request_timeout() -> ApiError:
    """Return a 408: the client sends its body too slowly. The connection cannot be reused."""
    return ApiError(408, "timeout", Message("request_timeout"), headers={"Connection": "close"})


def rate_limited(retry_after: int, headers: Mapping[str, str]) -> ApiError:
    """Return a 429, in words after which the web client does not retry by itself."""
    message = Message("rate_limited", seconds=retry_after)
    return ApiError(429, "too_many_requests", message, headers={**headers, "Retry-After": str(retry_after)})


def validation_error(error: ValidationError) -> ApiError:
    """Return a 400 that lists the errors of pydantic, field by field."""
    problems = error.errors(include_url=False, include_input=False)
    return bad_request(
        [
            InvalidField(".".join(map(str, problem["loc"])) or "body", message_of(problem))
            for problem in problems[:MAX_DETAILS]
        ]
    )


VARY = "Accept, Accept-Language"
"""Of what browsers get as a page and others as JSON: a cache must not send the one for the other."""


def error_response(error: ApiError, request_id: str, language: Language) -> Response:
    body: dict[str, object] = {
        "success": False,
        "error": error.message.text(language),
        "code": error.code,
        "request_id": request_id,
    }
    if error.details:
        body["details"] = [field.detail(language) for field in error.details]
    headers = {**error.headers, "Content-Language": language, "Vary": VARY}
    return Response(orjson.dumps(body), status_code=error.status, headers=headers, media_type=JSON)


_STARLETTE_ERRORS: dict[int, tuple[ErrorCode, Message]] = {
    404: ("not_found", Message("endpoint_not_found")),
    405: ("method_not_allowed", Message("method_not_allowed")),
}


def from_http_exception(error: HTTPException) -> ApiError:
    """Return the ApiError for an error of Starlette itself: no such route, or not with this method."""
    other: tuple[ErrorCode, Message] = "bad_request", Message("request_refused", reason=error.detail)
    code, message = _STARLETTE_ERRORS.get(error.status_code, other)
    headers = dict(error.headers or {})
    if "Allow" in headers:
        # Starlette joins a set; sorted, equal requests get equal responses from every process.
        headers["Allow"] = ", ".join(sorted(headers["Allow"].split(", ")))
    return ApiError(error.status_code, code, message, headers=headers)
