"""Check a cell of the fault matrix: what an operation does during a fault, and whether it heals."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog
from sqlalchemy.exc import DBAPIError

from app.recommendations.service import HEDGE_SECONDS
from scripts.drill.load_generator import Outcome
from tests.fault_injection.fault_matrix import RESPONSE_SECONDS, SLOW_TRIES, Cell
from tests.fault_injection.fault_matrix import Outcome as Expected
from tests.fault_injection.probes import HTTP_OPERATIONS, Probes
from tests.support.eventually import eventually

TRIES = 3
"""Times that an operation is tried during a fault."""
SLACK_SECONDS = 4
"""Allowance for a busy machine."""

log = structlog.get_logger()

Condition = Callable[[], Awaitable[bool]]


@dataclass
class CellCheck:
    operation: str
    cell: Cell
    probes: Probes
    _waiting: list[Condition] = field(default_factory=list)
    """What was begun during the fault, and is to be done after it."""

    async def during(self) -> None:
        """Raises: AssertionError if the operation does not do during the fault what the cell says."""
        if self.operation in HTTP_OPERATIONS:
            if self.cell.outcome is Expected.DEGRADED_AT_FIRST:
                await self.probes.send(self.operation)
            for _ in range(TRIES):
                for outcome in await self._send():
                    self._assert_expected(outcome)
            return
        try:
            begun = await self._begin()
        except DBAPIError:
            # A full Postgres rejects what would begin it, too.
            if self.cell.outcome is not Expected.WAITS:
                raise
            return
        if self.cell.outcome is Expected.WAITS:
            self._waiting.append(begun)
        else:
            await eventually(begun, self.cell.seconds)

    async def afterwards(self) -> None:
        """Raises: AssertionError if the operation does not work soon after the fault as before."""
        if self.operation in HTTP_OPERATIONS:
            await eventually(lambda: self.probes.works(self.operation), self.cell.seconds)
            return
        for condition in self._waiting:
            await eventually(condition, self.cell.seconds)
        await eventually(await self._begin(), self.cell.seconds)

    async def _send(self) -> list[Outcome]:
        """Send the requests of the operation, and again while the machine alone makes a search slow."""
        outcomes: list[Outcome] = []
        for _ in range(SLOW_TRIES):
            outcomes = await self.probes.send(self.operation)
            if not any(outcome.degraded and outcome.seconds >= HEDGE_SECONDS for outcome in outcomes):
                break
            log.info("slow_search", seconds=[outcome.seconds for outcome in outcomes])
        return outcomes

    async def _begin(self) -> Condition:
        """Begin a change or a job; return the condition under which it is done."""
        if self.operation == "feed":
            spots = await self.probes.change()
            return lambda: self.probes.finds(spots)
        before = await self.probes.make_job_due()
        return lambda: self.probes.has_run_since(before)

    def _assert_expected(self, outcome: Outcome) -> None:
        expected = {
            Expected.WORKS: outcome.succeeded and not outcome.degraded,
            Expected.DEGRADED_AT_FIRST: outcome.succeeded and not outcome.degraded,
            Expected.DEGRADED: outcome.succeeded,
            Expected.REJECTED: outcome.succeeded or outcome.rejected,
            Expected.REFUSED: outcome.succeeded or outcome.rejected or outcome.status == 0,
        }[self.cell.outcome]
        found = f"{outcome.status} {outcome.headers.get('Warning', '')} {outcome.body[:300]!r}"
        assert expected, f"{self.operation}: {found} is not '{self.cell.outcome}'"
        assert outcome.seconds < RESPONSE_SECONDS + SLACK_SECONDS, f"{self.operation}: {outcome.seconds:.1f} s"
