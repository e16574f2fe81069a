"""The protocol, one field for each of its rules; False is the protocol without it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    outbox: bool = True
    """Writers leave a row in the same transaction; without, they write to the index after their commit."""
    rows_leave_by_id: bool = True
    """A done row is removed; without, the feed remembers the highest id that it has handled."""
    rows_stay_until_written: bool = True
    """A claimed row is removed after the write; without, before."""
    version_before_reading: bool = True
    writes_have_versions: bool = True
    deletions_have_versions: bool = True
    deletions_outlive_writes: bool = True
    """A deletion is remembered for longer than any write is under way."""
    stalled_batches_read_again: bool = True
    """A batch that stood still for long has its departures read once more."""
    tables_stay_until_written: bool = True
    """A reading keeps the table from being truncated until what it read is written."""
    fan_outs_keep_their_place: bool = True
    """A row of a fan-out stays until the last of its departures was noted; without, until the first chunk was."""
    targets_are_announced: bool = True
    """A reindex waits for the batches that don't know its index yet before it reads."""
    batches_write_to_all: bool = True
    """Also to an index that is being built, and to the previous one."""
    differences_forbid_the_swap: bool = True
    alias_decides: bool = True
    """Whoever goes back or drops an index first asks the alias which one is in use; without, he believes Postgres."""
    old_readings_are_not_written: bool = True
    """Whoever stood still between reading and writing calls it off: deletions may have been forgotten since."""
    writes_follow_their_check: bool = True
    """No process stands still in the moment after it saw that its reading is fresh enough to be written."""


PROTOCOL = Rules()
