"""The fault matrix: what each operation does while a part of the system fails, and how long it takes to heal.

docs/reference/fault-matrix.md is made of it: `python -m tests.fault_injection.fault_matrix`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from pathlib import Path

from app.backends.database import REPLICA_SECONDS
from app.recommendations.service import HEDGE_SECONDS
from tests.support.jumping_clock import JUMP_DAYS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "fault-matrix.md"

COMPONENTS = (
    "Postgres",
    "replica",
    "Redis",
    "Elasticsearch",
    "log destination",
    "disk",
    "clock of the API",
    "clock of the worker",
    "open files of the API",
    "open files of the worker",
)
JUMPS = ("jumping ahead", "jumping back")
KINDS = ("gone", "full", "slow", "stalled", *JUMPS, "older state")
"""Gone refuses connections, stalled accepts them and never responds, slow delays each packet by 0.2 s."""

OPERATIONS = ("searches", "reads", "tracking", "admin", "feed", "jobs", "shutdown")


class Outcome(StrEnum):
    """What an operation does during a fault."""

    WORKS = "works"
    DEGRADED_AT_FIRST = "degraded at first"
    """The first search may be degraded, the others work."""
    DEGRADED = "degraded"
    """It works, and its response may be marked as degraded or stale."""
    REJECTED = "503"
    """It works, or is rejected with 503 and `Retry-After`."""
    REFUSED = "refused"
    """As `REJECTED`, or a new connection is closed at once."""
    WAITS = "waits"
    """Nothing is lost, and it goes on when the fault is over."""
    ENDS = "ends"
    """The processes end after SIGTERM."""


@dataclass(frozen=True)
class Cell:
    outcome: Outcome
    seconds: int
    """Seconds after the fault within which it works as before; of `ENDS`, seconds that the end takes."""


Row = Mapping[str, Cell]
"""The cells of a fault, by operation; an operation that is missing does not touch the component."""
Fault = tuple[str, str]
"""Component and kind."""

SLOW_TRIES = 3
"""Times that a search is sent if it is degraded for no other reason than that it takes long, as on a busy machine."""
RESPONSE_SECONDS = 8
"""Longest response during any fault."""
HTTP_SECONDS, FEED_SECONDS, JOB_SECONDS, END_SECONDS = 15, 30, 40, 20
"""Usual seconds until operations have healed, and until processes have ended."""


def _row(  # noqa: PLR0917  # one for each column
    searches: str, reads: str, tracking: str, admin: str, feed: str, jobs: str, shutdown: str = "ends"
) -> Row:
    outcomes = dict(zip(OPERATIONS, (searches, reads, tracking, admin, feed, jobs, shutdown), strict=True))
    seconds = {"feed": FEED_SECONDS, "jobs": JOB_SECONDS, "shutdown": END_SECONDS}
    return {
        operation: Cell(Outcome(outcome), seconds.get(operation, HTTP_SECONDS))
        for operation, outcome in outcomes.items()
        if outcome != "-"
    }


ALL_WORKS = _row("works", "works", "works", "works", "works", "works")
API_WORKS = _row("works", "works", "works", "works", "-", "-")
REPLICA_WAITS = _row("degraded at first", "works", "works", "works", "-", "-")
WORKER_WORKS = _row("-", "-", "-", "-", "works", "works")

FAULTS: Mapping[Fault, Row] = {
    ("Postgres", "gone"): _row("degraded", "503", "works", "503", "waits", "waits"),
    ("Postgres", "full"): _row("works", "works", "works", "works", "waits", "waits"),
    ("Postgres", "slow"): _row("degraded", "503", "works", "503", "waits", "waits"),
    ("Postgres", "stalled"): _row("degraded", "503", "works", "503", "waits", "waits"),
    ("replica", "gone"): API_WORKS,
    ("replica", "slow"): REPLICA_WAITS,
    ("replica", "stalled"): REPLICA_WAITS,
    ("Redis", "gone"): ALL_WORKS,
    ("Redis", "full"): ALL_WORKS,
    ("Redis", "slow"): ALL_WORKS,
    ("Redis", "stalled"): ALL_WORKS,
    ("Redis", "older state"): ALL_WORKS,
    ("Elasticsearch", "gone"): _row("degraded", "works", "works", "503", "waits", "works"),
    ("Elasticsearch", "full"): _row("works", "works", "works", "works", "waits", "works"),
    ("Elasticsearch", "slow"): _row("degraded", "works", "works", "503", "waits", "works"),
    ("Elasticsearch", "stalled"): _row("degraded", "works", "works", "503", "waits", "works"),
    ("log destination", "gone"): ALL_WORKS,
    ("log destination", "full"): ALL_WORKS,
    ("log destination", "stalled"): ALL_WORKS,
    ("disk", "gone"): ALL_WORKS,
    ("disk", "full"): ALL_WORKS,
    **{("clock of the API", jump): API_WORKS for jump in JUMPS},
    **{("clock of the worker", jump): WORKER_WORKS for jump in JUMPS},
    ("open files of the API", "full"): _row("refused", "refused", "refused", "refused", "-", "-"),
    ("open files of the worker", "full"): _row("-", "-", "-", "-", "waits", "waits"),
}

ELSEWHERE: Mapping[Fault, str] = {
    ("Postgres", "jumping ahead"): "tests/indexer/rebuild/test_retention.py::test_jump_of_the_clock_drops_no_index",
    ("Postgres", "jumping back"): (
        "tests/indexer/jobs/test_scheduler.py::test_time_left_by_a_clock_ahead_delays_nothing"
    ),
    ("Postgres", "older state"): (
        "tests/fault_injection/worker/test_database_restore.py::test_restored_database_rebuilds_the_index"
    ),
    **{
        ("replica", jump): (
            "tests/app/backends/test_replica_identity.py::test_lag_does_not_depend_on_the_clock_of_the_standby"
        )
        for jump in JUMPS
    },
    ("replica", "older state"): "tests/fault_injection/api/test_replicas.py::test_lagging_replica_is_skipped",
    ("Elasticsearch", "older state"): (
        "tests/indexer/rebuild/test_older_index.py::test_older_state_of_the_index_is_found_and_repaired"
    ),
    **{
        ("Redis", jump): "tests/app/cache/test_response_cache.py::test_redis_alone_measures_the_life_of_a_shared_body"
        for jump in JUMPS
    },
}
"""Faults that a test of their own provokes."""

_NO_CLOCK_READ = "no process reads its clock"
_NO_STATE = "nothing that was written is read again"
_PAGE_CACHE = (
    "the kernel writes the metrics' mapped files for the process; for a log on that disk see log destination: stalled"
)
_LIMIT = "a limit is reached or not"
_CLOCK = "a clock can only be wrong"

SENSELESS: Mapping[Fault, str] = {
    ("replica", "full"): "it stops replaying and lags: see older state",
    ("log destination", "slow"): "between works and stalled",
    ("log destination", "older state"): _NO_STATE,
    ("disk", "slow"): _PAGE_CACHE,
    ("disk", "stalled"): _PAGE_CACHE,
    ("disk", "older state"): _NO_STATE,
    **{
        (component, jump): _NO_CLOCK_READ
        for component in ("Elasticsearch", "log destination", "disk")
        for jump in JUMPS
    },
    **{
        (f"clock of the {process}", kind): _CLOCK
        for process in ("API", "worker")
        for kind in KINDS
        if kind not in JUMPS
    },
    **{
        (f"open files of the {process}", kind): _LIMIT
        for process in ("API", "worker")
        for kind in KINDS
        if kind != "full"
    },
}
"""Faults that make no sense, and why."""


def all_faults() -> list[Fault]:
    return list(product(COMPONENTS, KINDS))


INTRODUCTION = f"""# Fault matrix

What each operation does while a part of the system fails, and within how many seconds after the fault it works as
before. `make generate` makes this page of `tests/fault_injection/fault_matrix.py`, and
`tests/fault_injection/test_fault_matrix.py` tries it, cell by cell, on real processes.

- **gone** refuses connections, **stalled** accepts them and never responds, **slow** delays each packet by 0.2 s;
  a clock that is **jumping** is set {JUMP_DAYS} days ahead or back, and right again. The **disk** is that of `TMPDIR`;
  it is gone when somebody removes what is on it.
- **works**: as without the fault. **degraded**: it works, and the response may be marked as degraded or stale.
  **degraded at first**: the first response may be, later ones are not. **503**: it works, or is rejected with 503 and
  `Retry-After`. **refused**: as 503, or a new connection is closed at once. **waits**: nothing is lost, and it goes on
  after the fault. **ends**: the processes end after SIGTERM, within so many seconds.
- The API bounds its connections by the limit of open files that it starts with, so that one is reached only where the
  limit is lowered later, as the test does.
- Searches are `POST /api/v2/recommendations`; reads are lists from Postgres that no cache has; tracking is an event and
  a new session; admin is the state of the index; the feed brings a change of Postgres into the index; jobs run when
  they are due. No response takes longer than {RESPONSE_SECONDS} s.
- Apart from any fault, a search that takes more than {HEDGE_SECONDS} s, as on a busy machine, comes from Postgres,
  degraded; where searches are to work, the test sends one that took so long again, {SLOW_TRIES} times in all.
- A replica that is slow or stalled is waited for once, for {REPLICA_SECONDS:g} s, and not asked again before it
  passes a check: a search that waits for it is one that takes more than {HEDGE_SECONDS} s.
- A dash: the operation does not touch it.
"""


def page() -> str:
    """Return the text of the documentation page."""
    return "\n".join(
        [
            INTRODUCTION,
            *_table(("fault", *OPERATIONS), _fault_rows()),
            "\n## Shown by tests of their own\n",
            *_table(("fault", "test"), ((_name(fault), f"`{test}`") for fault, test in ELSEWHERE.items())),
            "\n## Not applicable\n",
            *_table(("fault", "reason"), ((_name(fault), reason) for fault, reason in SENSELESS.items())),
            "",
        ]
    )


def _fault_rows() -> Iterator[Sequence[str]]:
    for fault, row in FAULTS.items():
        cells = (row.get(operation) for operation in OPERATIONS)
        yield (_name(fault), *(f"{cell.outcome}, {cell.seconds} s" if cell else "–" for cell in cells))


def _name(fault: Fault) -> str:
    component, kind = fault
    return f"{component}: {kind}"


def _table(columns: Sequence[str], rows: Iterator[Sequence[str]]) -> list[str]:
    lines = [columns, ["---"] * len(columns), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
