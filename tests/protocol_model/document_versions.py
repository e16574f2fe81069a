"""A release: indexes of two document versions that are fed side by side, as by indexer.feed.batch.

Each step of a process is atomic. A batch changes the outbox when it commits; a killed one leaves no trace there.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from itertools import count
from random import Random

from tests.protocol_model.elasticsearch import Violation

Steps = Generator[None, None, None]

OLD, NEW = 1, 2
KEYS = range(3)
CLAIM_LIMIT = 2
STEPS = 400


@dataclass(frozen=True)
class VersionRules:
    """False is the protocol without the rule."""

    copies_for_every_version: bool = True
    """While other versions have indexes, a batch leaves them a copy of each row that it takes."""
    build_waits_for_batches: bool = True
    """Before it reads, the build of an index waits for batches that began without it."""
    version_before_read: bool = True
    """A batch takes the version of its writes before it reads."""


@dataclass
class Release:
    random: Random
    rules: VersionRules
    values: dict[int, int] = field(default_factory=lambda: dict.fromkeys(KEYS, 0))
    """Committed departures."""
    rows: dict[int, int] = field(default_factory=dict)
    """Departures by id of outbox row; of copies, with their document version, below."""
    copies: dict[int, tuple[int, int]] = field(default_factory=dict)
    targets: dict[str, int] = field(default_factory=dict)
    """Document versions of the registered indexes."""
    documents: dict[str, dict[int, tuple[int, int]]] = field(default_factory=dict)
    """For each index the version and value of each document."""
    aliases: dict[int, str] = field(default_factory=dict)
    """The index that processes of a document version search."""
    locked: dict[int, str] = field(default_factory=dict)
    batches: set[str] = field(default_factory=set)
    """Workers whose batch has begun, and which a build may have to wait for."""
    seen: Counter[str] = field(default_factory=Counter)
    ids: Iterator[int] = field(default_factory=lambda: count(1))

    def write(self, index: str, stamp: int, changes: dict[int, int]) -> None:
        documents = self.documents.get(index, {})
        for key, value in changes.items():
            if key not in documents or documents[key][0] <= stamp:
                documents[key] = (stamp, value)

    def check(self) -> None:
        """Check that readers of each version find what is in Postgres, but for what waits. Raises: Violation."""
        for version, index in self.aliases.items():
            waiting = {*self.rows.values(), *(key for of, key in self.copies.values() if of == version)}
            for key, value in self.values.items():
                found = self.documents[index].get(key, (0, None))[1]
                if found != value and key not in waiting:
                    raise Violation(f"readers of version {version} find {found} for {key}, not {value}")

    def end(self, name: str) -> None:
        """Release what the process holds, as the end of its connection does."""
        self.batches.discard(name)
        self.locked = {row: owner for row, owner in self.locked.items() if owner != name}


def writer(release: Release, name: str) -> Steps:
    while True:
        key = release.random.choice(KEYS)
        release.values[key] += 1
        release.rows[next(release.ids)] = key
        yield


def worker(version: int) -> Callable[[Release, str], Steps]:
    def run(release: Release, name: str) -> Steps:
        while True:
            yield
            release.batches.add(name)
            yield from _batch(release, name, version)
            release.end(name)

    return run


def _batch(release: Release, name: str, version: int) -> Steps:
    known = dict(release.targets)
    own = [index for index, of in known.items() if of == version]
    if not own:
        return
    others = {of for of in known.values() if of != version} if release.rules.copies_for_every_version else set()
    yield
    rows, copies = _claim(release, name, version)
    keys = {*rows.values(), *copies.values()}
    yield
    stamp = next(release.ids) if release.rules.version_before_read else None
    yield
    changes = {key: release.values[key] for key in keys}
    yield
    stamp = stamp or next(release.ids)
    for index in own:
        yield
        release.write(index, stamp, changes)
    yield
    for row_id, key in rows.items():
        del release.rows[row_id]
        release.copies.update({next(release.ids): (other, key) for other in others})
    for row_id in copies:
        release.copies.pop(row_id, None)
    release.seen["copied"] += len(rows) * len(others)


def _claim(release: Release, name: str, version: int) -> tuple[dict[int, int], dict[int, int]]:
    """Lock outbox rows, and copies for this version, that no other batch has locked."""
    own = {row_id: key for row_id, (of, key) in release.copies.items() if of == version}
    claimed: list[dict[int, int]] = []
    for found in (release.rows, own):
        free = {row_id: key for row_id, key in found.items() if row_id not in release.locked}
        claimed.append(dict(list(free.items())[:CLAIM_LIMIT]))
        release.locked.update(dict.fromkeys(claimed[-1], name))
    return claimed[0], claimed[1]


def builder(version: int) -> Callable[[Release, str], Steps]:
    """Build the index of a version and have it searched; of a release, or a rollback to the version before."""

    def run(release: Release, name: str) -> Steps:
        index = f"{name} {next(release.ids)}"
        release.targets[index], release.documents[index] = version, {}
        yield
        if release.rules.build_waits_for_batches:
            begun = set(release.batches)
            while begun & release.batches:
                begun &= release.batches
                yield
        stamp = next(release.ids)
        for key in KEYS:
            yield
            value = release.values[key]
            yield
            release.write(index, stamp, {key: value})
        yield
        replaced = release.aliases.get(version)
        release.aliases[version] = index
        release.seen[f"built for {version}"] += 1
        yield
        if replaced is not None:
            del release.targets[replaced]

    return run


PROCESSES: dict[str, Callable[[Release, str], Steps]] = {
    "writer": writer,
    "old worker": worker(OLD),
    "other old worker": worker(OLD),
    "new worker": worker(NEW),
    "old build": builder(OLD),
    "new build": builder(NEW),
}


def run(seed: int, rules: VersionRules) -> Counter[str]:
    """Run one random schedule, in which workers are killed and begin anew. Raises: Violation."""
    release = Release(Random(seed), rules)
    running = {name: start(release, name) for name, start in PROCESSES.items()}
    for _ in range(STEPS):
        name = release.random.choice(list(running))
        if "worker" in name and release.random.random() < 0.02:
            running[name].close()
            release.end(name)
            release.seen["killed"] += 1
            running[name] = PROCESSES[name](release, name)
        elif next(running[name], "ended") == "ended":
            running[name] = PROCESSES[name](release, name)
        release.check()
    return release.seen
