"""Postgres as the protocol uses it: two tables, an outbox, a sequence, and locks of transactions.

Each method is one statement, which is atomic and sees what is committed at that moment, as in READ COMMITTED.
Where a statement would wait for a lock, `lock` returns False, and its caller tries again at its next step.
"""

from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from itertools import count
from typing import TypeVar

Key = TypeVar("Key")
Row = TypeVar("Row")

Departure = tuple[int, int]
"""Company and own value."""
Document = tuple[int, int, int]
"""Company, own value, and the company's value."""

TABLE = "departures"
BATCHES = "batches"
REBUILDING = "rebuilding"
"""Locks other than those of rows."""


class Kind(Enum):
    DEPARTURE = "departure"
    COMPANY = "company"
    ALL = "all"


class State(Enum):
    BUILDING = "building"
    LIVE = "live"
    PREVIOUS = "previous"


@dataclass(frozen=True)
class OutboxRow:
    id: int
    kind: Kind
    key: int = 0
    cursor: int = 0
    """The last departure to which a fan-out has been resolved."""


class TransactionTimedOut(Exception):  # noqa: N818
    """Postgres has ended a transaction that was idle for too long."""


@dataclass(eq=False)
class Transaction:
    session: str
    idle_limit: float
    used_at: int
    ended: bool = False
    locks: set[tuple[Hashable, bool]] = field(default_factory=set)
    """Locked keys, and whether each lock is shared."""
    departures: dict[int, Departure | None] = field(default_factory=dict)
    """Rows to write at commit; None for a row to delete."""
    companies: dict[int, int | None] = field(default_factory=dict)
    outbox: dict[int, OutboxRow | None] = field(default_factory=dict)
    targets: dict[str, State | None] = field(default_factory=dict)


class Postgres:
    def __init__(self, companies: dict[int, int], targets: dict[str, State]) -> None:
        self.now = 0
        self.departures: dict[int, Departure] = {}
        self.companies = companies
        self.targets = targets
        self.outbox: dict[int, OutboxRow] = {}
        self.cursor_position = 0
        """For a consumer with a cursor, which does not read rows up to here again."""
        self._outbox_ids = count(1)
        self._versions = count(1)
        self._open: list[Transaction] = []

    def begin(self, session: str, *, idle_limit: float = float("inf")) -> Transaction:
        transaction = Transaction(session, idle_limit, self.now)
        self._open.append(transaction)
        return transaction

    def commit(self, transaction: Transaction) -> None:
        self._touch(transaction)
        _write(self.departures, transaction.departures)
        _write(self.companies, transaction.companies)
        _write(self.targets, transaction.targets)
        if self.cursor_position:
            rows = transaction.outbox
            transaction.outbox = {key: rows[key] for key in rows if key > self.cursor_position or key in self.outbox}
        _write(self.outbox, transaction.outbox)
        self.end(transaction)

    def end(self, transaction: Transaction) -> None:
        """End the transaction; one that was not committed has no effect."""
        if not transaction.ended:
            transaction.ended = True
            self._open.remove(transaction)

    def disconnect(self, session: str) -> None:
        """Roll back the transactions of a session whose process has died."""
        for transaction in [known for known in self._open if known.session == session]:
            self.end(transaction)

    def advance_time(self, now: int) -> None:
        self.now = now
        for transaction in list(self._open):
            if now > transaction.used_at + transaction.idle_limit:
                self.end(transaction)

    def lock(self, transaction: Transaction, *keys: Hashable, shared: bool = False) -> bool:
        """Lock all keys until the transaction ends, or lock none of them and return False."""
        self._touch(transaction)
        conflicting = {(key, False) for key in keys}
        if not shared:
            conflicting |= {(key, True) for key in keys}
        if any(conflicting & other.locks for other in self._open if other is not transaction):
            return False
        transaction.locks.update((key, shared) for key in keys)
        return True

    def enqueue(self, transaction: Transaction, kind: Kind, keys: Iterable[int] = (0,)) -> None:
        """Insert outbox rows; their ids are assigned now, but they are visible only after the commit."""
        self._touch(transaction)
        for key in keys:
            row = OutboxRow(next(self._outbox_ids), kind, key)
            transaction.outbox[row.id] = row

    def claim(self, transaction: Transaction, limit: int) -> list[OutboxRow]:
        """Lock and return the first rows that are not locked (FOR UPDATE SKIP LOCKED)."""
        rows: list[OutboxRow] = []
        for row in sorted(self.outbox.values(), key=lambda row: row.id):
            if len(rows) < limit and self.lock(transaction, ("outbox", row.id)):
                rows.append(row)
        return rows

    def waiting(self, transaction: Transaction, keys: Collection[int], *, claimed: bool) -> set[int]:
        """Return the departures that wait, and lock their rows against claims; those that are claimed only if asked."""
        rows = [row for row in self.outbox.values() if row.kind is Kind.DEPARTURE and row.key in keys]
        return {row.key for row in rows if self.lock(transaction, ("outbox", row.id), shared=True) or claimed}

    def dependents(self, company: int | None, after: int, limit: int) -> list[int]:
        """Return keys of departures of the company, or of all companies, in order."""
        found = [key for key, (own, _) in self.departures.items() if key > after and company in (own, None)]
        return sorted(found)[:limit]

    def next_version(self) -> int:
        return next(self._versions)

    def document(self, key: int) -> Document | None:
        departure = self.departures.get(key)
        return None if departure is None else (*departure, self.companies[departure[0]])

    def pending(self) -> set[int] | None:
        """Return the departures that the outbox names, directly or not; None if it names all."""
        keys: set[int] = set()
        for row in self.outbox.values():
            if row.kind is Kind.ALL:
                return None
            if row.kind is Kind.DEPARTURE:
                keys.add(row.key)
            else:
                keys.update(self.dependents(row.key, row.cursor, len(self.departures)))
        return keys

    def _touch(self, transaction: Transaction) -> None:
        if transaction.ended:
            raise TransactionTimedOut
        transaction.used_at = self.now


def _write(table: dict[Key, Row], changes: dict[Key, Row | None]) -> None:
    for key, row in changes.items():
        if row is None:
            table.pop(key, None)
        else:
            table[key] = row
