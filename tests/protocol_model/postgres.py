"""Postgres as the protocol sees it: two tables, an outbox, a sequence, and the locks that transactions hold.

Each method is one statement: it happens at once and sees what is committed at that moment, as READ COMMITTED has it.
Where a statement would wait for a lock, `lock` answers False and its caller asks again at its next step.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from itertools import count
from typing import TypeVar

Key = TypeVar("Key")
Row = TypeVar("Row")

Departure = tuple[int, int]
"""Its company and its own value."""
Document = tuple[int, int, int]
"""What a departure shows: its company, its own value and the company's."""

TABLE = "departures"
BATCHES = "batches"
REBUILDING = "rebuilding"
"""What is locked as a whole, beside single rows."""


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
    """The last departure that a fan-out was resolved to."""


class TransactionLost(Exception):  # noqa: N818
    """Postgres has ended the transaction of a session that said nothing for too long."""


@dataclass(eq=False)
class Transaction:
    session: str
    idle_limit: float
    used_at: int
    ended: bool = False
    locks: set[tuple[Hashable, bool]] = field(default_factory=set)
    """What is locked, and whether it is shared."""
    departures: dict[int, Departure | None] = field(default_factory=dict)
    """What commit will write, None for what it will delete."""
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
        self.passed = 0
        """Only for a feed that remembers how far it came: rows up to here are not looked at again."""
        self._outbox_ids = count(1)
        self._versions = count(1)
        self._open: list[Transaction] = []

    def begin(self, session: str, *, idle_limit: float = float("inf")) -> Transaction:
        transaction = Transaction(session, idle_limit, self.now)
        self._open.append(transaction)
        return transaction

    def commit(self, transaction: Transaction) -> None:
        self._use(transaction)
        _write(self.departures, transaction.departures)
        _write(self.companies, transaction.companies)
        _write(self.targets, transaction.targets)
        if self.passed:
            rows = transaction.outbox
            transaction.outbox = {key: rows[key] for key in rows if key > self.passed or key in self.outbox}
        _write(self.outbox, transaction.outbox)
        self.end(transaction)

    def end(self, transaction: Transaction) -> None:
        """Without effect, if it was not committed."""
        if not transaction.ended:
            transaction.ended = True
            self._open.remove(transaction)

    def hang_up(self, session: str) -> None:
        """The session's process has died: its transactions are rolled back."""
        for transaction in [known for known in self._open if known.session == session]:
            self.end(transaction)

    def let_time_pass(self, now: int) -> None:
        self.now = now
        for transaction in list(self._open):
            if now > transaction.used_at + transaction.idle_limit:
                self.end(transaction)

    def lock(self, transaction: Transaction, *keys: Hashable, shared: bool = False) -> bool:
        """All of the keys until the transaction ends, or none of them and False."""
        self._use(transaction)
        conflicting = {(key, False) for key in keys}
        if not shared:
            conflicting |= {(key, True) for key in keys}
        if any(conflicting & other.locks for other in self._open if other is not transaction):
            return False
        transaction.locks.update((key, shared) for key in keys)
        return True

    def note(self, transaction: Transaction, kind: Kind, keys: Iterable[int] = (0,)) -> None:
        """New outbox rows: their ids are given out now, but nobody sees them before the commit."""
        self._use(transaction)
        for key in keys:
            row = OutboxRow(next(self._outbox_ids), kind, key)
            transaction.outbox[row.id] = row

    def claim(self, transaction: Transaction, limit: int) -> list[OutboxRow]:
        """FOR UPDATE SKIP LOCKED."""
        rows: list[OutboxRow] = []
        for row in sorted(self.outbox.values(), key=lambda row: row.id):
            if len(rows) < limit and self.lock(transaction, ("outbox", row.id)):
                rows.append(row)
        return rows

    def dependents(self, company: int | None, after: int, limit: int) -> list[int]:
        """Departures of the company, or of any, by their keys."""
        found = [key for key, (of, _) in self.departures.items() if key > after and company in (of, None)]
        return sorted(found)[:limit]

    def next_version(self) -> int:
        return next(self._versions)

    def document(self, key: int) -> Document | None:
        departure = self.departures.get(key)
        return None if departure is None else (*departure, self.companies[departure[0]])

    def pending(self) -> set[int] | None:
        """Departures that the outbox still has to tell of; None if it may be any."""
        keys: set[int] = set()
        for row in self.outbox.values():
            if row.kind is Kind.ALL:
                return None
            if row.kind is Kind.DEPARTURE:
                keys.add(row.key)
            else:
                keys.update(self.dependents(row.key, row.cursor, len(self.departures)))
        return keys

    def _use(self, transaction: Transaction) -> None:
        if transaction.ended:
            raise TransactionLost
        transaction.used_at = self.now


def _write(table: dict[Key, Row], changes: dict[Key, Row | None]) -> None:
    for key, row in changes.items():
        if row is None:
            table.pop(key, None)
        else:
            table[key] = row
