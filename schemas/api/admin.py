"""Requests and responses of the admin endpoints."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool

from schemas.api.entities import Timestamp
from schemas.api.queries import PageQuery
from schemas.lenient import to_integral

MAX_RETRIED = 100
MAX_SHOWN = 100
"""Highest number of departures that a report lists."""

Queue = Literal["index", "events"]
"""Queue of dead letters: `index` for changes that the index rejected, `events` for events that Postgres rejected."""

LetterId = Annotated[int, Field(strict=True, ge=1, lt=2**53), BeforeValidator(to_integral)]


class AdminModel(BaseModel):
    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True)


class ReindexAccepted(AdminModel):
    success: Literal[True] = True
    message: str


class WriteTarget(AdminModel):
    """An index that the worker writes changes to."""

    name: str
    state: Literal["building", "live", "previous"]
    created_at: Timestamp


class OutboxBacklog(AdminModel):
    """Changes that are not in the index yet."""

    rows: int
    """Number of changes."""
    oldest_seconds: float
    """Age of the oldest change, in seconds."""
    attempts: int
    """Highest number of attempts that one of them has taken."""


class DeadLetterCounts(AdminModel):
    index: int
    """Number of changes that the index rejected."""
    events: int
    """Number of events that Postgres rejected."""


class ReindexProgress(AdminModel):
    """Progress of the running reindex, or else of the last one."""

    state: Literal["running", "done", "failed"]
    done: int
    """Departures that are loaded."""
    total: int
    """Departures to load."""
    seconds: float
    """Seconds since the start."""
    rate: float
    """Departures per second."""
    seconds_left: float | None
    """Estimated seconds until the end; null if unknown."""


class IndexState(AdminModel):
    alias: str
    """Alias that searches read."""
    index: str | None
    """Live index; null if there is none, or Elasticsearch does not respond."""
    documents: int | None
    """Documents of the live index; null as `index`."""
    departures: int
    """Departures in Postgres."""
    generation: int | None
    """Cache generation; null before the first change, or if Redis does not respond."""
    targets: list[WriteTarget]
    outbox: OutboxBacklog
    dead_letters: DeadLetterCounts
    rebuilding: bool
    """Whether a reindex is running."""
    reindex: ReindexProgress | None


class IndexStatusResponse(AdminModel):
    success: Literal[True] = True
    data: IndexState


class VerifyRequest(AdminModel):
    repair: StrictBool = False
    """Queue the departures that differ for the worker."""


class Difference(AdminModel):
    trip_id: int
    fields: list[str]
    """Fields that differ; or `missing` in the index, or `left over` in the index."""


class VerifyReport(AdminModel):
    in_sync: bool
    """Whether no departure differs."""
    checked: int
    """Departures that were compared."""
    drifted: int
    """Departures that differ."""
    lagging: int
    """Departures that differ because their change is still in the outbox."""
    refused: int
    """Departures that can't become documents, and are rightly not in the index."""
    differences: Annotated[list[Difference], Field(max_length=MAX_SHOWN)]
    repaired: bool
    """Whether the departures that differ were queued for the worker."""
    seconds: float
    """Duration of the verification in seconds."""


class VerifyResponse(AdminModel):
    success: Literal[True] = True
    data: VerifyReport


class RollbackResponse(AdminModel):
    success: Literal[True] = True
    index: str
    """Index that is live again."""


class DeadLettersQuery(PageQuery):
    queue: Queue = "index"


class DeadLetter(AdminModel):
    id: int
    reason: str
    body: dict[str, Any]
    created_at: Timestamp


class DeadLettersResponse(AdminModel):
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
    """Number of dead letters that were queued again; unknown ids are ignored."""
