"""Requests and responses of the tracking endpoints."""

import re
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SkipValidation,
    ValidationInfo,
    field_validator,
)

from schemas.event_types import CATEGORIES, SOURCES
from schemas.lenient import INT4, empty_as_none, to_integral
from schemas.messages.validation import invalid

MAX_TEXT = 4096
"""Characters of a URL that are stored; browsers send no longer referrers."""
MAX_EMAIL = 255
MAX_METADATA = 8192
"""Highest size of an event's metadata as JSON, in bytes."""
MAX_BATCH = 100


def without_nul(text: str) -> str:
    """Validate that a text has no NUL, which Postgres cannot store."""
    if "\0" in text:
        raise invalid("nul_in_text")
    return text


def _truncate(text: str) -> str:
    return text[:MAX_TEXT]


def _one_of(names: Collection[str]) -> Callable[[str], str]:
    def check(name: str) -> str:
        if name not in names:
            raise invalid("not_listed", names=", ".join(names))
        return name

    return check


def _instant(value: object) -> datetime:
    """Parse a timestamp; without a zone it is UTC."""
    if not isinstance(value, str):
        raise invalid("no_time")
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise invalid("no_time") from None


def _address(email: str) -> str:
    """Validate an address and convert it to lower case, since one address is one user.

    The length is checked afterwards, since a few letters become two in lower case.
    """
    email = email.lower()
    if len(email) > MAX_EMAIL:
        raise invalid("email_too_long", most=MAX_EMAIL)
    if not re.fullmatch(ADDRESS, email):
        raise invalid("no_email")
    return email


def _limit_size(metadata: dict[str, Any]) -> dict[str, Any]:
    try:
        size = len(orjson.dumps(metadata))
    except orjson.JSONEncodeError:
        raise invalid("nested_too_deeply") from None
    if size > MAX_METADATA:
        raise invalid("metadata_too_large", most=MAX_METADATA, size=size)
    return metadata


NO_NUL = {"pattern": "^[^\\u0000]*$"}
ShortText = Annotated[str, Field(max_length=100, json_schema_extra=NO_NUL), AfterValidator(without_nul)]
Text = Annotated[str, Field(json_schema_extra=NO_NUL), AfterValidator(without_nul), AfterValidator(_truncate)]
ADDRESS = r"^[^@\s\x00\x1c-\x1f\x85\ufeff]+@[^@\s\x00\x1c-\x1f\x85\ufeff]+$"
"""Lists the blanks on which dialects of regular expressions differ."""
BLANK = r"^[\s\x1c-\x1f\x85]*$"
EMAIL = {"pattern": f"{BLANK}|{ADDRESS}", "maxLength": MAX_EMAIL}
Email = Annotated[str, Field(json_schema_extra=EMAIL), AfterValidator(_address)]
EventType = Annotated[str, Field(json_schema_extra={"enum": sorted(CATEGORIES)}), AfterValidator(_one_of(CATEGORIES))]
Source = Annotated[str, Field(json_schema_extra={"enum": sorted(SOURCES)}), AfterValidator(_one_of(SOURCES))]
UtcTimestamp = Annotated[datetime, BeforeValidator(_instant, json_schema_input_type=datetime)]
Metadata = Annotated[dict[str, Any], AfterValidator(_limit_size)]


class SessionRequest(BaseModel):
    session_id: UUID
    anonymous_id: UUID
    device_type: Literal["mobile", "tablet", "desktop"] | None = None
    referrer: Text | None = None
    email: Annotated[Email | None, empty_as_none] = None


class SessionResponse(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)

    success: Literal[True]
    user_id: int | None
    """Null for a session that will be stored later."""
    session_id: UUID
    is_new_session: bool


class IdentifyRequest(BaseModel):
    anonymous_id: UUID
    email: Annotated[Email | None, empty_as_none] = None
    name: Annotated[ShortText | None, empty_as_none] = None


class IdentifyResponse(BaseModel):
    success: Literal[True]
    user_id: int
    is_registered: bool


class TrackedEvent(BaseModel):
    """Something that a traveller did. Events with the same event_id are stored once."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"event_type": {"const": "click_trip"}}},
            "then": {"required": ["source"], "properties": {"source": {"type": "string"}}},
        }
    )

    event_type: EventType
    session_id: UUID
    anonymous_id: UUID
    trip_id: Annotated[int, Field(strict=True, ge=1, lt=INT4), BeforeValidator(to_integral)] | None = None
    source: Annotated[Source | None, Field(validate_default=True, description="Required for click_trip.")] = None
    recommendation_request_id: UUID | None = None
    metadata: Metadata | None = None
    position: Annotated[int, Field(strict=True, ge=0, lt=INT4), BeforeValidator(to_integral)] | None = None
    score: Annotated[float, Field(strict=True, ge=-999, le=999, allow_inf_nan=False)] | None = None
    client_timestamp: UtcTimestamp | None = None
    page_url: Text | None = None
    referrer: Text | None = None
    event_id: UUID | None = None

    @field_validator("source")
    @classmethod
    def _click_has_source(cls, source: str | None, info: ValidationInfo) -> str | None:
        if source is None and info.data.get("event_type") == "click_trip":
            raise invalid("click_without_source")
        return source


class EventBatch(BaseModel):
    """A batch of events. Entries are validated one by one; the response lists invalid ones, others are stored."""

    events: Annotated[list[SkipValidation[TrackedEvent | Any]], Field(min_length=1, max_length=MAX_BATCH)]


class EventResponse(BaseModel):
    success: Literal[True]
    event_id: UUID


class EventError(BaseModel):
    index: int
    error: str


class EventBatchResponse(BaseModel):
    success: Literal[True]
    processed: int
    total: int
    errors: list[EventError] | None


class EventTypes(BaseModel):
    success: Literal[True]
    event_types: list[str]
    categories: dict[str, str]
    valid_sources: list[str]
