from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic

from hypothesis import given
from hypothesis import strategies as st

from indexer.feed.changed_departures import MAX_CHANGES
from indexer.feed.pending_invalidations import PendingInvalidations, WrittenDepartures
from indexer.index.outbox import DIRECT, ClaimedRow
from indexer.unpublished_changes import ListedChanges
from schemas.invalidation_message import DEPARTURE, DepartureChange


def batch(number: int | None, record: int) -> WrittenDepartures:
    """Return a batch of so many departures, or of departures that are not listed."""
    row = ClaimedRow(record, DEPARTURE, record, DIRECT, 0, None, datetime.now(UTC), monotonic())
    listed = None if number is None else ListedChanges(0, row.created_at, number * [DepartureChange(1, None, None)])
    return WrittenDepartures([row], listed, record)


numbers = st.lists(st.none() | st.integers(1, MAX_CHANGES), max_size=10)


@given(numbers)
def test_only_departures_that_are_listed_are_kept(numbers: Sequence[int | None]) -> None:
    """However often their publication fails; the rows of all are removed once they are published."""
    pending = PendingInvalidations()
    for record, number in enumerate(numbers):
        pending.add_written([batch(number, record)])
        failed, pending = pending, PendingInvalidations()
        pending.add_back(failed)
    known = [number for number in numbers if number is not None]
    are_listed = len(known) == len(numbers) and sum(known) <= MAX_CHANGES
    listed = pending.listed_departures()
    assert len(pending.written) == (len(numbers) if are_listed else 0)
    assert len(() if listed is None else listed.changes) == (sum(known) if are_listed else 0)
    assert pending.kinds == ({DEPARTURE} if numbers else set())
    assert pending.records == [*range(len(numbers))]
