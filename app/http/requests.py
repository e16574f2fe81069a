"""Parsing and validation of request bodies and query strings."""

import asyncio
import json
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.types import Receive

from app.http.errors import ApiError, InvalidField, bad_request, request_timeout, too_large, validation_error
from schemas.messages.message import Message

Model = TypeVar("Model", bound=BaseModel)

MAX_BODY = 64 * 1024
MAX_BATCH_BODY = 1024 * 1024

MAX_LENGTH_DIGITS = 19
"""Digits of a Content-Length that is taken for a number: as many as 64 bits have."""
MAX_LENIENT_BODY = 64 * 1024
"""Bytes of a body up to which leniency is tried: it takes ten times as long as strict parsing, on the event loop."""


def parse_json(body: bytes, content_type: str) -> object:
    """Return the body as JSON; an empty one is an empty object. Raises: ApiError 400 or 415."""
    if not body.strip():
        return {}
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise ApiError(415, "unsupported_media_type", Message("json_required"))
    return _parse(body)


def reject_announced_length(length: bytes, limit: int) -> None:
    """Reject a body by its Content-Length, before the client is asked to send it (`Expect: 100-continue`).

    Raises: ApiError 413.
    """
    # Servers other than ours may pass on what is no number: then what arrives is counted.
    digits = length.lstrip(b"0")
    if digits.isdigit() and (len(digits) > MAX_LENGTH_DIGITS or int(digits) > limit):
        raise too_large(limit)


async def receive_body(receive: Receive, limit: int, seconds: float) -> bytes:
    """Receive a request's body of at most `limit` bytes.

    Raises: ApiError 400 (the client disconnected), 408 (not complete after `seconds`), 413 (more than `limit` bytes).
    """
    try:
        async with asyncio.timeout(seconds):
            return await _receive_all(receive, limit)
    except TimeoutError:
        raise request_timeout() from None


async def _receive_all(receive: Receive, limit: int) -> bytes:
    """Stop at the limit, whatever length the client announces. Starlette's own limit responds in plain text."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ApiError(400, "bad_request", Message("body_incomplete"))
        body += message.get("body", b"")
        if len(body) > limit:
            raise too_large(limit)
        if not message.get("more_body"):
            return bytes(body)


def _parse(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        problem = bad_request([InvalidField("body", Message("no_json", line=error.lineno, column=error.colno))])
    if len(body) > MAX_LENIENT_BODY:
        raise problem
    return _parse_lenient(body, problem)


def _parse_lenient(body: bytes, problem: ApiError) -> object:
    """Parse what strict JSON excludes but clients send: NaN and lone surrogates.

    NaN passes, so that validation can name its field. A browser that truncates a text can leave a lone surrogate, which
    becomes U+FFFD. Raises: `problem`, for any other body.
    """
    try:
        text = json.dumps(json.loads(body.decode()), ensure_ascii=False)
        value = json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
        orjson.dumps(value)
    except (ValueError, TypeError, RecursionError):
        raise problem from None
    return value


def read_model(model: type[Model], value: object) -> Model:
    """Validate a JSON object. Raises: ApiError 400, which names the invalid fields."""
    if not isinstance(value, dict):
        raise bad_request([InvalidField("body", Message("no_json_object"))])
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise validation_error(error) from None


def read_query(model: type[Model], request: Request[Any]) -> Model:
    """Validate the query string: an empty parameter counts as absent, of a repeated one the last value counts."""
    return read_model(model, {name: value for name, value in request.query_params.items() if value != ""})
