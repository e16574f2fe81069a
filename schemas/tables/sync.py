"""Tables of the index synchronization, in a schema of their own: outbox, dead letters and write targets."""

from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, ForeignKey, Identity, Index, Sequence, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from schemas.tables.base import Base, Count, Instant, InstantNow, Small

SCHEMA = "smarttrip"

INDEX_VERSION = Sequence("index_version", schema=SCHEMA, metadata=Base.metadata)
"""Sequence of write versions: a later read of Postgres has a higher version, which wins in the index."""

WideInt = Annotated[int, mapped_column(BigInteger)]
"""Wide enough for any integer key that the platform may come to use."""

SerialId = Annotated[int, mapped_column(BigInteger, Identity(), primary_key=True)]


class OutboxRow(Base):
    """A changed row, recorded by a trigger in the writer's transaction."""

    __tablename__ = "outbox"
    __table_args__ = ({"schema": SCHEMA},)

    id: Mapped[SerialId]
    kind: Mapped[str]
    """An `EntityKind` of `schemas.invalidation_message`, or `all` without a row_id."""
    row_id: Mapped[WideInt | None]
    """None stands for every row of the kind, where the trigger could not tell which one changed."""
    lane: Mapped[Small] = mapped_column(server_default=text("0"))
    """0 is a direct change, 1 a fan-out."""
    attempts: Mapped[Count]
    cursor: Mapped[WideInt | None]
    """The last departure queued by a fan-out that goes chunk by chunk."""
    created_at: Mapped[Instant] = mapped_column(server_default=text("clock_timestamp()"))


class OutboxCopy(Base):
    """A changed departure that the indexes of one document version still lack, while there are several versions."""

    __tablename__ = "outbox_copies"
    __table_args__ = (Index("outbox_copies_version", "document_version", "lane", "id"), {"schema": SCHEMA})

    id: Mapped[WideInt] = mapped_column(
        Identity(start=-1, increment=-1, minvalue=-(2**63), maxvalue=-1), primary_key=True
    )
    """Negative, so that no copy has the id of an outbox row."""
    document_version: Mapped[str]
    row_id: Mapped[WideInt]
    lane: Mapped[Small] = mapped_column(server_default=text("0"))
    attempts: Mapped[Count]
    created_at: Mapped[Instant] = mapped_column(server_default=text("clock_timestamp()"))
    """Time of the change."""


class DeadLetter(Base):
    """A departure that can't become a document, or that the index rejected permanently."""

    __tablename__ = "outbox_dead"
    __table_args__ = ({"schema": SCHEMA},)

    id: Mapped[SerialId]
    kind: Mapped[str]
    row_id: Mapped[WideInt | None]
    error: Mapped[str]
    created_at: Mapped[Instant]
    died_at: Mapped[InstantNow]


class DeadEvent(Base):
    """A tracking event that could not be stored."""

    __tablename__ = "event_dead"
    __table_args__ = ({"schema": SCHEMA},)

    id: Mapped[SerialId]
    body: Mapped[dict[str, Any]]
    reason: Mapped[str]
    created_at: Mapped[InstantNow]


class UnverifiedBrowser(Base):
    """A browser that named a user's e-mail address without verifying it; an erasure includes it."""

    __tablename__ = "unverified_browsers"
    __table_args__ = ({"schema": SCHEMA},)

    id: Mapped[SerialId]
    user_id: Mapped[int]
    anonymous_id: Mapped[UUID]
    created_at: Mapped[InstantNow]


class IndexTarget(Base):
    """An index that the worker writes to."""

    __tablename__ = "index_targets"
    __table_args__ = ({"schema": SCHEMA},)

    name: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    """building, live or previous."""
    mapping_hash: Mapped[str]
    """Document version of the index."""
    created_at: Mapped[InstantNow]
    state_since: Mapped[InstantNow]
    """Time at which it got its state: a live index is in use since then, a previous one was until then."""
    fed_at: Mapped[InstantNow]
    """Time at which a worker of its document version last ran."""


class Installation(Base):
    """The one row that identifies this installation on servers that it shares with others."""

    __tablename__ = "installation"
    __table_args__ = ({"schema": SCHEMA},)

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    created_at: Mapped[InstantNow]
    column_differences: Mapped[str] = mapped_column(server_default=text("''"))
    """How the platform's columns differed from ours when a worker last had all documents written again."""


class JobRun(Base):
    """The state of a scheduled job, shared by all workers. Times are those of Postgres."""

    __tablename__ = "job_runs"
    __table_args__ = ({"schema": SCHEMA},)

    name: Mapped[str] = mapped_column(primary_key=True)
    succeeded_at: Mapped[Instant | None]
    """Start of the last run that succeeded."""
    settled_at: Mapped[InstantNow]
    """Start of the last run that succeeded or was given up; the job is due when its next scheduled time has come."""
    retry_at: Mapped[Instant | None]
    failures: Mapped[Count]
    """Failures in a row since `settled_at`."""
    claimed_until: Mapped[Instant | None]
    """End of a worker's claim, renewed while the job runs."""
    result: Mapped[WideInt | None]
    """A number that the job found: the departures that drifted, of `verify`."""


class StoredWeights(Base):
    """A version of a weight set; it never changes."""

    __tablename__ = "weight_sets"
    __table_args__ = ({"schema": SCHEMA},)

    name: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    points: Mapped[dict[str, Any]]
    """By field of `scoring.weights.Weights`."""
    created_by: Mapped[str]
    comment: Mapped[str]
    created_at: Mapped[InstantNow]


class Rollout(Base):
    """A weight set that a share of the clients is answered with."""

    __tablename__ = "rollouts"
    __table_args__ = ({"schema": SCHEMA},)

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    candidate: Mapped[str]
    percent: Mapped[int]
    criteria: Mapped[dict[str, Any]]
    """Fields of `indexer.rollout.criteria.AbortCriteria`."""
    started_at: Mapped[InstantNow]
    started_by: Mapped[str]
    ended_at: Mapped[Instant | None]
    """None while it runs."""
    ended_by: Mapped[str | None]
    outcome: Mapped[str | None]
    """promoted or rolled_back."""
    reason: Mapped[str | None]


class RolloutOutcome(Base):
    """What the requests of one variant came to in one process, in a few seconds."""

    __tablename__ = "rollout_outcomes"
    __table_args__ = ({"schema": SCHEMA},)

    id: Mapped[SerialId]
    rollout_id: Mapped[UUID]
    variant: Mapped[str]
    requests: Mapped[int]
    failures: Mapped[int]
    searches: Mapped[int]
    empty: Mapped[int]
    latencies: Mapped[list[int]]
    recorded_at: Mapped[InstantNow]


class Publisher(Base):
    """A process that may have committed changes which caches were not notified of yet."""

    __tablename__ = "publishers"
    __table_args__ = ({"schema": SCHEMA},)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    renewed_at: Mapped[Instant] = mapped_column(server_default=text("clock_timestamp()"))
    """When it last ran; long ago if any worker is to publish in its place."""
    records_changes: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether all that it has written and not published is in `UnpublishedChanges`."""


class UnpublishedChanges(Base):
    """The departures that a batch has written to the index, until caches are notified of them."""

    __tablename__ = "unpublished_changes"
    __table_args__ = ({"schema": SCHEMA},)

    id: Mapped[SerialId]
    publisher: Mapped[UUID] = mapped_column(ForeignKey(Publisher.id, ondelete="CASCADE"))
    """Which process is to publish them."""
    departures: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    changes: Mapped[str | None] = mapped_column(Text)
    """JSON of their `ListedChanges`; NULL if they are not listed."""
