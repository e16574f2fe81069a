"""Requests and responses of the tracking endpoints."""

import re
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    SkipValidation,
    ValidationInfo,
    field_validator,
)

from schemas.api.model import ApiModel
from schemas.event_types import CATEGORIES, MAX_BATCH, SOURCES
from schemas.lenient import INT4, empty_as_none, to_integral
from schemas.messages.validation import invalid

MAX_TEXT = 4096
"""Characters of a URL that are stored; browsers send no longer referrers."""
MAX_EMAIL = 255
MAX_METADATA = 8192
"""Highest size of an event's metadata as JSON, in bytes."""


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
EventSource = Annotated[str, Field(json_schema_extra={"enum": sorted(SOURCES)}), AfterValidator(_one_of(SOURCES))]
UtcTimestamp = Annotated[datetime, BeforeValidator(_instant, json_schema_input_type=datetime)]
Metadata = Annotated[dict[str, Any], AfterValidator(_limit_size)]


class SessionRequest(ApiModel):
    session_id: UUID
    """Id of the session, made by the client."""
    anonymous_id: UUID
    """Id of the browser, made by the client."""
    device_type: Literal["mobile", "tablet", "desktop"] | None = None
    """Kind of device; null if unknown."""
    referrer: Text | None = None
    """URL of the page that led here; null if there is none."""
    email: Annotated[Email | None, empty_as_none] = None
    """E-mail address that the visitor has named; null if none."""


class SessionResponse(ApiModel):
    success: Literal[True]
    """True; responses with an error have false."""
    user_id: int | None
    """Null for a session that will be stored later."""
    session_id: UUID
    """Id of the session."""
    is_new_session: bool
    """Whether the session was started now."""


class IdentifyRequest(ApiModel):
    anonymous_id: UUID
    """Id of the browser, made by the client."""
    email: Annotated[Email | None, empty_as_none] = None
    """E-mail address of the visitor; null if unknown."""
    name: Annotated[ShortText | None, empty_as_none] = None
    """Name of the visitor; null if unknown."""


class IdentifyResponse(ApiModel):
    success: Literal[True]
    """True; responses with an error have false."""
    user_id: int
    """Id of the user."""
    is_registered: bool
    """Whether the user has a verified address."""


class TrackedEvent(ApiModel):
    """Something that a traveller did. Events with the same event_id are stored once."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"event_type": {"const": "click_trip", "description": "A click on a trip."}}},
            "then": {
                "required": ["source"],
                "properties": {"source": {"type": "string", "description": "List or page of the click."}},
                # Said for readers that check each part of a schema by itself.
                "additionalProperties": True,
            },
        }
    )

    event_type: EventType
    """What the traveller did."""
    session_id: UUID
    """Id of the session."""
    anonymous_id: UUID
    """Id of the browser."""
    trip_id: Annotated[int, Field(strict=True, ge=1, lt=INT4), BeforeValidator(to_integral)] | None = None
    """Id of the departure that it is about; null if none."""
    source: Annotated[EventSource | None, Field(validate_default=True, description="Required for click_trip.")] = None
    recommendation_request_id: UUID | None = None
    """`request_id` of the search whose result it is about; null if none."""
    metadata: Metadata | None = None
    """Further values, at most 8192 bytes as JSON."""
    position: Annotated[int, Field(strict=True, ge=0, lt=INT4), BeforeValidator(to_integral)] | None = None
    """Place in the list, counted from 0; null if none."""
    score: Annotated[float, Field(strict=True, ge=-999, le=999, allow_inf_nan=False)] | None = None
    """Score of the departure, in points; null if unknown."""
    client_timestamp: UtcTimestamp | None = None
    """Time of the event by the client's clock, in UTC unless it has a zone."""
    page_url: Text | None = None
    """URL of the page; null if unknown."""
    referrer: Text | None = None
    """URL of the page before; null if there is none."""
    event_id: UUID | None = None
    """Id that the client gives the event, so that a repetition is not stored twice."""

    @field_validator("source")
    @classmethod
    def _click_has_source(cls, source: str | None, info: ValidationInfo) -> str | None:
        if source is None and info.data.get("event_type") == "click_trip":
            raise invalid("click_without_source")
        return source


Invalid = Annotated[Any, Field(description="Anything else: it is listed among the errors.")]


class EventBatch(ApiModel):
    """A batch of events. Entries are validated one by one; the response lists invalid ones, others are stored."""

    events: Annotated[list[SkipValidation[TrackedEvent | Invalid]], Field(min_length=1, max_length=MAX_BATCH)]
    """Events, the earliest first."""


class EventResponse(ApiModel):
    success: Literal[True]
    """True; responses with an error have false."""
    event_id: UUID
    """Id of the event."""


class EventError(ApiModel):
    index: int
    """Place of the invalid event in the batch, counted from 0."""
    error: str
    """What is wrong with it."""


class EventBatchResponse(ApiModel):
    success: Literal[True]
    """True; responses with an error have false."""
    processed: int
    """Number of events that were accepted."""
    total: int
    """Number of events in the batch."""
    errors: list[EventError] | None
    """Invalid events; null if there are none."""


class EventTypes(ApiModel):
    success: Literal[True]
    """True; responses with an error have false."""
    event_types: list[str]
    """Valid event types."""
    categories: dict[str, str]
    """Category of each event type."""
    valid_sources: list[str]
    """Valid values of `source`."""
