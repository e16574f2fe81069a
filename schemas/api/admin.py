"""Requests and answers of the administrators' endpoints."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool

from schemas.api.entities import Timestamp
from schemas.api.queries import PageQuery
from schemas.lenient import to_integral

MAX_RETRIED = 100
MAX_SHOWN = 100
"""Departures that a report names."""

Queue = Literal["index", "events"]
"""Of dead letters: changes that the index refused, or events that Postgres refused."""

LetterId = Annotated[int, Field(strict=True, ge=1, lt=2**53), BeforeValidator(to_integral)]


class AdminModel(BaseModel):
    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True)


class ReindexAccepted(AdminModel):
    success: Literal[True] = True
    message: str


class WriteTarget(AdminModel):
    """An index that the worker keeps up to date."""

    name: str
    state: Literal["building", "live", "previous"]
    created_at: Timestamp


class OutboxBacklog(AdminModel):
    """Changes that the index has not heard of yet."""

    rows: int
    oldest_seconds: float
    attempts: int
    """The most that one of them has taken."""


class DeadLetterCounts(AdminModel):
    index: int
    events: int


class ReindexProgress(AdminModel):
    """The running one, or else the last one."""

    state: Literal["running", "done", "failed"]
    done: int
    total: int
    seconds: float
    rate: float
    """Departures a second."""
    seconds_left: float | None


class IndexState(AdminModel):
    alias: str
    index: str | None
    """Null where there is none, or Elasticsearch doesn't answer."""
    documents: int | None
    departures: int
    generation: int | None
    """Null where nothing has changed yet, or Redis doesn't answer."""
    targets: list[WriteTarget]
    outbox: OutboxBacklog
    dead_letters: DeadLetterCounts
    rebuilding: bool
    reindex: ReindexProgress | None


class IndexStatusResponse(AdminModel):
    success: Literal[True] = True
    data: IndexState


class VerifyRequest(AdminModel):
    repair: StrictBool = False
    """Have the worker read again what differs."""


class Difference(AdminModel):
    trip_id: int
    fields: list[str]
    """Those that differ, or `missing` in the index, or `left over` there."""


class VerifyReport(AdminModel):
    in_sync: bool
    checked: int
    drifted: int
    lagging: int
    """Those that differ because their change is still on its way."""
    refused: int
    """Those that can't be shown, and rightly are not in the index."""
    differences: Annotated[list[Difference], Field(max_length=MAX_SHOWN)]
    repaired: bool
    seconds: float


class VerifyResponse(AdminModel):
    success: Literal[True] = True
    data: VerifyReport


class RollbackResponse(AdminModel):
    success: Literal[True] = True
    index: str
    """The one that is in use again."""


class DeadLettersQuery(PageQuery):
    queue: Queue = "index"


class DeadLetter(AdminModel):
    id: int
    reason: str
    body: dict[str, Any]
    created_at: Timestamp


class DeadLetters(AdminModel):
    success: Literal[True] = True
    count: int
    total: int
    offset: int
    limit: int
    data: list[DeadLetter]


class RetryRequest(AdminModel):
    queue: Queue = "index"
    ids: Annotated[list[LetterId], Field(min_length=1, max_length=MAX_RETRIED)]


class RetryResponse(AdminModel):
    success: Literal[True] = True
    retried: int
    """Those that are dead letters no longer; an id that is none is passed over."""
