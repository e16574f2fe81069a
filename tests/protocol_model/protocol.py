"""The rules of the protocol; False is the protocol without the rule."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    outbox: bool = True
    """Writers insert outbox rows in the same transaction; without, they write to the index after their commit."""
    rows_deleted_by_id: bool = True
    """Consumers delete the rows that they have processed; without, they advance a cursor."""
    rows_deleted_after_write: bool = True
    """A claimed row is deleted after the write; without, before it."""
    version_before_read: bool = True
    versioned_writes: bool = True
    versioned_deletions: bool = True
    tombstones_outlive_writes: bool = True
    """Tombstones expire later than any write arrives."""
    stalled_batches_reenqueue: bool = True
    """The departures of a batch that stalled are enqueued again."""
    table_locked_until_written: bool = True
    """A read locks the table against TRUNCATE until its result is written."""
    fan_out_rows_kept_until_done: bool = True
    """A fan-out row stays until all its departures are enqueued; without, until the first chunk is."""
    fan_out_adds_claimed: bool = True
    """A fan-out leaves out departures that wait, but not those that a batch has claimed; without, those as well."""
    reindex_waits_for_batches: bool = True
    """Before it reads, a reindex waits for batches that began without its index."""
    batches_write_to_all_targets: bool = True
    """Batches write to the index that is being built and to the previous one, too."""
    differences_forbid_swap: bool = True
    alias_is_authoritative: bool = True
    """Rollback and retention take the live index from the alias; without, from Postgres."""
    stale_reads_not_written: bool = True
    """A process that stalled between read and write does not write: tombstones may have expired."""
    write_follows_check: bool = True
    """A process does not stall between checking the age of its read and writing."""


PROTOCOL = Rules()
