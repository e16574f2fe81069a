"""Changes that were not published to caches yet."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from time import monotonic

from indexer.feed.changed_departures import MAX_CHANGES
from indexer.index.outbox import ClaimedRow
from indexer.unpublished_changes import ListedChanges
from schemas.invalidation_message import DEPARTURE, EVERYTHING, DepartureChanges


@dataclass(frozen=True)
class WrittenDepartures:
    """Departures that a batch has written to the index."""

    rows: Sequence[ClaimedRow]
    listed: ListedChanges | None
    """None if it is not known what they were."""
    record: int | None = None
    """Id of their row of unpublished changes in Postgres."""

    @property
    def changed_at(self) -> float:
        """Time of the oldest change, also of those of others that are listed (monotonic)."""
        first = min(self.rows, key=attrgetter("created_at"))
        before = 0.0 if self.listed is None else (first.created_at - self.listed.changed_at).total_seconds()
        return min(row.changed_at for row in self.rows) - max(0.0, before)


@dataclass
class PendingInvalidations:
    """What a worker has to publish."""

    kinds: set[str] = field(default_factory=set)
    written: list[WrittenDepartures] = field(default_factory=list)
    """Empty if they cannot be listed: a worker that cannot publish does not keep more and more of them."""
    has_others: bool = False
    """Whether departures changed that are not in `written`."""
    records: list[int] = field(default_factory=list)
    """Ids of the rows of unpublished changes in Postgres that are published with these."""

    def add(self, kinds: Iterable[str]) -> None:
        """Add changes of which nothing else is known."""
        added = set(kinds)
        self.kinds |= added
        if added & {DEPARTURE, EVERYTHING}:
            self._list_none()

    def add_written(self, written: Sequence[WrittenDepartures]) -> None:
        """Add departures that searches find by now."""
        self.kinds |= {DEPARTURE} if written else set()
        self.records += [batch.record for batch in written if batch.record is not None]
        self._list(written)

    def add_back(self, failed: "PendingInvalidations") -> None:
        """Add changes whose publication failed."""
        self.kinds |= failed.kinds
        self.records += failed.records
        if failed.has_others:
            self._list_none()
        self._list(failed.written)

    def _list(self, written: Sequence[WrittenDepartures]) -> None:
        self.written += written
        listed = [batch.listed for batch in self.written]
        number = sum(MAX_CHANGES + 1 if each is None else len(each.changes) for each in listed)
        if listed and (self.has_others or number > MAX_CHANGES):
            self._list_none()

    def _list_none(self) -> None:
        self.has_others = True
        self.written.clear()

    def listed_departures(self) -> DepartureChanges | None:
        """Return the changed departures, or None if they are not all known, or too many."""
        listed = [batch.listed for batch in self.written if batch.listed is not None]
        if not listed:
            return None
        oldest = min(batch.changed_at for batch in self.written)
        changes = [change for each in listed for change in each.changes]
        return DepartureChanges(min(each.since for each in listed), monotonic() - oldest, changes)
