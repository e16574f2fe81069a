"""Requests and responses of the admin endpoints."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, StrictBool

from schemas.api.entities import JsonObject, Timestamp
from schemas.api.model import ApiModel
from schemas.api.queries import PageQuery
from schemas.lenient import to_integral

MAX_RETRIED = 100
MAX_SHOWN = 100
"""Highest number of departures that a report lists."""

Queue = Literal["index", "events"]
"""Queue of dead letters: `index` for changes that the index rejected, `events` for events that Postgres rejected."""

LetterId = Annotated[int, Field(strict=True, ge=1, lt=2**53), BeforeValidator(to_integral)]


class AdminModel(ApiModel):
    model_config = ConfigDict(from_attributes=True)


class ReindexAccepted(AdminModel):
    success: Literal[True] = True
    """True; responses with an error have false."""
    message: str
    """What happens now, for people."""


class WriteTarget(AdminModel):
    """An index that the worker writes changes to."""

    name: str
    """Name of the index."""
    state: Literal["building", "live", "previous"]
    """`live` is searched, `building` will be, `previous` can be rolled back to."""
    created_at: Timestamp
    """Time of creation, in UTC."""


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
    """Whether it runs, has succeeded, or has failed."""
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
    """Indices that changes are written to."""
    outbox: OutboxBacklog
    """What waits to be indexed."""
    dead_letters: DeadLetterCounts
    """Numbers of changes and events that failed for good."""
    rebuilding: bool
    """Whether a reindex is running."""
    reindex: ReindexProgress | None
    """The running reindex, or else the last one; null if there was none."""


class IndexStatusResponse(AdminModel):
    success: Literal[True] = True
    """True; responses with an error have false."""
    data: IndexState
    """State of the index."""


class VerifyRequest(AdminModel):
    repair: StrictBool = False
    """Queue the departures that differ for the worker."""


class Difference(AdminModel):
    trip_id: int
    """Id of the departure."""
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
    """Differences of the first departures that differ."""
    repaired: bool
    """Whether the departures that differ were queued for the worker."""
    seconds: float
    """Duration of the verification in seconds."""


class VerifyResponse(AdminModel):
    success: Literal[True] = True
    """True; responses with an error have false."""
    data: VerifyReport
    """Result of the comparison."""


class RollbackResponse(AdminModel):
    success: Literal[True] = True
    """True; responses with an error have false."""
    index: str
    """Index that is live again."""


class DeadLettersQuery(PageQuery):
    queue: Queue = "index"
    """Queue whose dead letters are listed."""


class DeadLetter(AdminModel):
    id: int
    """Id of the dead letter within its queue."""
    reason: str
    """Why it failed for good."""
    body: JsonObject
    """The change or the event, as it was queued."""
    created_at: Timestamp
    """Time of creation, in UTC."""


class DeadLettersResponse(AdminModel):
    success: Literal[True] = True
    """True; responses with an error have false."""
    count: int
    """Number of dead letters in `data`."""
    total: int
    """Number of dead letters on all pages."""
    offset: int
    """Number of dead letters that were skipped."""
    limit: int
    """Highest number of dead letters on a page."""
    data: list[DeadLetter]
    """Dead letters of the page, the latest first."""


class RetryRequest(AdminModel):
    queue: Queue = "index"
    """Queue of the dead letters."""
    ids: Annotated[list[LetterId], Field(min_length=1, max_length=MAX_RETRIED)]
    """Ids of the dead letters to queue again."""


class RetryResponse(AdminModel):
    success: Literal[True] = True
    """True; responses with an error have false."""
    retried: int
    """Number of dead letters that were queued again; unknown ids are ignored."""
