"""Changes that were not published to caches yet."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from time import monotonic

from indexer.feed.changed_departures import MAX_CHANGES
from indexer.index.outbox import ClaimedRow
from schemas.invalidation_message import DEPARTURE, EVERYTHING, DepartureChange, DepartureChanges


@dataclass(frozen=True)
class WrittenDepartures:
    """Departures that a batch has written to the index."""

    rows: Sequence[ClaimedRow]
    changes: Sequence[DepartureChange] | None
    """None if it is not known what they were."""
    since: int
    """The last generation that this process knew to be published when the batch began."""
    record: int | None = None
    """Id of their row of unpublished changes in Postgres."""

    @property
    def changed_at(self) -> float:
        """Time of the oldest change (monotonic)."""
        return min(row.changed_at for row in self.rows)


@dataclass
class PendingInvalidations:
    """What a worker has to publish."""

    kinds: set[str] = field(default_factory=set)
    written: list[WrittenDepartures] = field(default_factory=list)
    has_others: bool = False
    """Whether departures changed that are not in `written`."""
    adopted: list[int] = field(default_factory=list)
    """Rows of unpublished changes of processes that are gone."""

    @property
    def records(self) -> list[int]:
        """Ids of the rows of unpublished changes in Postgres that are published with these."""
        return [*self.adopted, *(written.record for written in self.written if written.record is not None)]

    def add(self, kinds: Iterable[str]) -> None:
        """Add changes of which nothing else is known."""
        added = set(kinds)
        self.kinds |= added
        self.has_others |= bool(added & {DEPARTURE, EVERYTHING})

    def add_written(self, written: Sequence[WrittenDepartures]) -> None:
        """Add departures that searches find by now."""
        self.kinds |= {DEPARTURE} if written else set()
        self.written += written

    def add_back(self, failed: "PendingInvalidations") -> None:
        """Add changes whose publication failed."""
        self.add(failed.kinds - {DEPARTURE})
        self.add_written(failed.written)
        self.add([DEPARTURE] if failed.has_others else ())
        self.adopted += failed.adopted

    def listed_departures(self) -> DepartureChanges | None:
        """Return the changed departures, or None if they are not all known, or too many."""
        if not self.written or self.has_others:
            return None
        changes: list[DepartureChange] = []
        for written in self.written:
            if written.changes is None or len(changes) + len(written.changes) > MAX_CHANGES:
                return None
            changes += written.changes
        oldest = min(written.changed_at for written in self.written)
        return DepartureChanges(min(written.since for written in self.written), monotonic() - oldest, changes)
