"""State of a schedule: the two servers, the requests in flight between them, and the invariants."""

import math
from collections import Counter
from collections.abc import Generator, Set
from dataclasses import dataclass
from itertools import count
from random import Random

from tests.protocol_model.elasticsearch import Changes, Index, Violation
from tests.protocol_model.fault_profile import FaultProfile
from tests.protocol_model.postgres import Postgres, State
from tests.protocol_model.protocol import Rules

Steps = Generator[None, None, None]
"""A process; wherever it yields, others may run."""

FIRST_INDEX = "index 01"
DEPARTURES = range(1, 4)
COMPANIES = range(1, 3)

STALLED_AFTER = 10
"""Time after which Postgres ends the transaction of a batch, and what it has read must not be written."""
LONGEST_DELAY = 30
"""Maximum time that a write is in flight, far below the lifetime of a tombstone."""


@dataclass(eq=False)
class Request:
    """A bulk request that has been sent."""

    index: str
    version: int
    changes: Changes
    sent_at: int
    done: bool = False
    rejected: Set[int] = frozenset()
    """Departures that were not written; valid once the request is done."""


class Simulation:
    def __init__(self, random: Random, rules: Rules, profile: FaultProfile, *, continuous_checks: bool) -> None:
        """Without `continuous_checks` the invariants are checked only at the end."""
        self.random = random
        self.rules = rules
        self.profile = profile
        self.continuous_checks = continuous_checks
        self.now = 0
        self.postgres = Postgres(dict.fromkeys(COMPANIES, 0), {FIRST_INDEX: State.LIVE})
        self.indices = {FIRST_INDEX: Index()}
        self.alias = FIRST_INDEX
        self.in_flight: list[Request] = []
        self.idle: set[str] = set()
        """Names of workers between two batches."""
        self.seen: Counter[str] = Counter()
        """Counts of events, with which tests assert that each of them happens."""
        self.values = count(1)
        self._names = count(2)

    def advance_time(self, duration: int) -> None:
        self.now += duration
        self.postgres.advance_time(self.now)
        longest = LONGEST_DELAY if self.rules.tombstones_outlive_writes else math.inf
        self.in_flight = [request for request in self.in_flight if self.now <= request.sent_at + longest]

    def is_stalled(self, since: int) -> bool:
        return self.now > since + STALLED_AFTER

    def new_index(self) -> str:
        name = f"index {next(self._names):02}"
        self.indices[name] = Index()
        return name

    def send(self, name: str, version: int, changes: Changes) -> Request:
        request = Request(name, version, changes, self.now)
        self.in_flight.append(request)
        return request

    def deliver(self, request: Request, *, faults: bool) -> None:
        """Write all documents, some, or none; the network may deliver a copy later."""
        chance = self.random.random() if faults else 0.5
        if chance < 0.1:
            rejected_keys = set(request.changes)
        else:
            rejected_keys = {key for key in request.changes if chance < 0.2 and self.random.random() < 0.5}
        if chance < 0.9:
            self.in_flight.remove(request)
        else:
            self.seen["duplicated"] += 1
        self._write(request, rejected_keys)
        if not request.done:
            request.done, request.rejected = True, rejected_keys
        self.check_continuously()

    def _write(self, request: Request, rejected_keys: Set[int]) -> None:
        index, rules = self.indices.get(request.index), self.rules
        if index is None:
            return
        for key in request.changes.keys() - rejected_keys:
            document = request.changes[key]
            versioned = rules.versioned_writes and (document is not None or rules.versioned_deletions)
            is_newer = index.write(key, request.version, document, self.now, versioned=versioned)
            if self.continuous_checks and not is_newer and request.index in self._maintained_indices():
                raise Violation(f"departure {key} went back to version {request.version} in {request.index}")

    def response(self, request: Request) -> Generator[None, None, Set[int]]:
        """Wait for the response, and return the rejected departures. A request that times out may still arrive."""
        while not request.done:
            yield
            if self.random.random() < 0.05:
                self.seen["timed out"] += 1
                return request.changes.keys()
        return request.rejected

    def check_continuously(self) -> None:
        if self.continuous_checks:
            self.check()

    def check(self) -> None:
        """Check that departures which the outbox does not name are as in Postgres. Raises: Violation."""
        if self.alias not in self.indices:
            raise Violation(f"the alias points to {self.alias}, which does not exist")
        pending = self.postgres.pending()
        if pending is None:
            return
        for name in self._maintained_indices():
            for key in DEPARTURES:
                found, expected = self.indices[name].documents.get(key), self.postgres.document(key)
                if found != expected and key not in pending:
                    raise Violation(f"departure {key} is {found} in {name}, {expected} in Postgres")

    def _maintained_indices(self) -> set[str]:
        return {self.alias, *(name for name, state in self.postgres.targets.items() if state is not State.BUILDING)}
