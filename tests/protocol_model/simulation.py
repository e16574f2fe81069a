"""Everything that a history happens to: the two servers, what is under way between them, and the promises."""

import math
from collections import Counter
from collections.abc import Generator, Set
from dataclasses import dataclass
from itertools import count
from random import Random

from tests.protocol_model.elasticsearch import Changes, Index, Violation
from tests.protocol_model.fault_profile import Weather
from tests.protocol_model.postgres import Postgres, State
from tests.protocol_model.protocol import Rules

Steps = Generator[None, None, None]
"""A process: others may go on wherever it yields."""

FIRST_INDEX = "index 01"
DEPARTURES = range(1, 4)
COMPANIES = range(1, 3)

STALLED_AFTER = 10
"""How long a batch may take; then Postgres ends its transaction, and what it read may not be written any more."""
LONGEST_DELAY = 30
"""How long a write may be under way; far shorter than a deletion is remembered."""


@dataclass(eq=False)
class Request:
    """A bulk request, from when it is sent."""

    index: str
    version: int
    changes: Changes
    sent_at: int
    answered: bool = False
    kept: Set[int] = frozenset()
    """Departures whose write was not taken, once it is answered."""


class World:
    def __init__(self, random: Random, rules: Rules, weather: Weather, *, watched: bool) -> None:
        """`watched`: whether the promises are checked all the time, or only when all is quiet."""
        self.random = random
        self.rules = rules
        self.weather = weather
        self.watched = watched
        self.now = 0
        self.postgres = Postgres(dict.fromkeys(COMPANIES, 0), {FIRST_INDEX: State.LIVE})
        self.indices = {FIRST_INDEX: Index()}
        self.alias = FIRST_INDEX
        self.under_way: list[Request] = []
        self.idle: set[str] = set()
        """Workers between two batches."""
        self.seen: Counter[str] = Counter()
        """How often what happened, so that tests can tell whether anything did."""
        self.values = count(1)
        self._names = count(2)

    def let_time_pass(self, duration: int) -> None:
        self.now += duration
        self.postgres.let_time_pass(self.now)
        longest = LONGEST_DELAY if self.rules.deletions_outlive_writes else math.inf
        self.under_way = [request for request in self.under_way if self.now <= request.sent_at + longest]

    def stood_still(self, since: int) -> bool:
        return self.now > since + STALLED_AFTER

    def new_index(self) -> str:
        name = f"index {next(self._names):02}"
        self.indices[name] = Index()
        return name

    def send(self, name: str, version: int, changes: Changes) -> Request:
        request = Request(name, version, changes, self.now)
        self.under_way.append(request)
        return request

    def deliver(self, request: Request, *, faults: bool) -> None:
        """Elasticsearch takes all of it, all but some, or nothing; and the network may keep a copy for later."""
        chance = self.random.random() if faults else 0.5
        if chance < 0.1:
            refused = set(request.changes)
        else:
            refused = {key for key in request.changes if chance < 0.2 and self.random.random() < 0.5}
        if chance < 0.9:
            self.under_way.remove(request)
        else:
            self.seen["doubled"] += 1
        self._write(request, refused)
        if not request.answered:
            request.answered, request.kept = True, refused
        self.check_meanwhile()

    def _write(self, request: Request, refused: Set[int]) -> None:
        index, rules = self.indices.get(request.index), self.rules
        if index is None:
            return
        for key in request.changes.keys() - refused:
            document = request.changes[key]
            versioned = rules.writes_have_versions and (document is not None or rules.deletions_have_versions)
            forwards = index.write(key, request.version, document, self.now, versioned=versioned)
            if self.watched and not forwards and request.index in self._kept_up():
                raise Violation(f"departure {key} went back to version {request.version} in {request.index}")

    def answer(self, request: Request) -> Generator[None, None, Set[int]]:
        """The departures that were not taken. A request that times out may still arrive."""
        while not request.answered:
            yield
            if self.random.random() < 0.05:
                self.seen["timed out"] += 1
                return request.changes.keys()
        return request.kept

    def check_meanwhile(self) -> None:
        if self.watched:
            self.check()

    def check(self) -> None:
        """What the outbox doesn't name is right in every index that is searched or kept. Raises Violation."""
        if self.alias not in self.indices:
            raise Violation(f"the alias points at {self.alias}, which is gone")
        pending = self.postgres.pending()
        if pending is None:
            return
        for name in self._kept_up():
            for key in DEPARTURES:
                found, expected = self.indices[name].documents.get(key), self.postgres.document(key)
                if found != expected and key not in pending:
                    raise Violation(f"departure {key} is {found} in {name}, {expected} in Postgres")

    def _kept_up(self) -> set[str]:
        return {self.alias, *(name for name, state in self.postgres.targets.items() if state is not State.BUILDING)}
