"""The operations of the fault matrix, as probes that return whether they worked."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from indexer.backends import Backends
from scripts.drill.load_generator import LoadClient, Outcome, Request, visitor
from tests.support.eventually import eventually
from tests.support.sync import execute

HTTP_OPERATIONS = ("searches", "reads", "tracking", "admin")

JOB = "end_sessions"
CHANGE = "UPDATE trip_occurrences SET spots_left = :spots WHERE id = (SELECT min(id) FROM trip_occurrences)"
MAKE_DUE = "UPDATE smarttrip.job_runs SET settled_at = 'epoch', retry_at = NULL, claimed_until = NULL WHERE name = :job"
LAST_SUCCESS = text("SELECT succeeded_at FROM smarttrip.job_runs WHERE name = :job")

_numbers = itertools.count(1000)


def _requests(operation: str) -> Sequence[Request]:
    """Return requests that no cache can answer."""
    number = next(_numbers)
    return {
        "searches": [Request("searches", "POST", "/api/v2/recommendations", {"budget": number})],
        "reads": [Request("reads", "GET", f"/api/v2/occurrences?limit=1&offset={number}")],
        "tracking": [
            Request("tracking", "POST", "/api/events", visitor(event_type="page_view")),
            Request("tracking", "POST", "/api/session/start", visitor()),
        ],
        "admin": [Request("admin", "GET", "/api/admin/index")],
    }[operation]


@dataclass(frozen=True)
class Probes:
    client: LoadClient
    backends: Backends
    """Servers, reached without proxies."""

    async def send(self, operation: str) -> list[Outcome]:
        """Send the requests of the operation, one after the other."""
        return [await self.client.send(request) for request in _requests(operation)]

    async def works(self, operation: str) -> bool:
        """Return whether the requests of the operation succeed and are not degraded."""
        return all(outcome.succeeded and not outcome.degraded for outcome in await self.send(operation))

    async def change(self) -> int:
        """Change a departure; return its seats, which no other departure has."""
        spots = next(_numbers)
        await execute(self.backends.postgres, CHANGE, spots=spots)
        return spots

    async def finds(self, spots: int) -> bool:
        """Return whether searches find the change."""
        es = self.backends.elasticsearch
        found = await es.count(index=self.backends.alias, query={"term": {"spots": spots}}, ignore_unavailable=True)
        return bool(found["count"])

    async def make_job_due(self) -> datetime | None:
        """Make a job due; return when it succeeded last."""
        before = await self.last_success()
        await execute(self.backends.postgres, MAKE_DUE, job=JOB)
        return before

    async def last_success(self) -> datetime | None:
        async with self.backends.postgres.connect() as connection:
            last: datetime | None = await connection.scalar(LAST_SUCCESS, {"job": JOB})
            return last

    async def has_run_since(self, before: datetime | None) -> bool:
        return await self.last_success() != before

    async def feed_works(self, within: float) -> None:
        spots = await self.change()
        await eventually(lambda: self.finds(spots), within)

    async def jobs_work(self, within: float) -> None:
        before = await self.make_job_due()
        await eventually(lambda: self.has_run_since(before), within)
