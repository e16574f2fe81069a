"""The weights that this process answers with, as Postgres says."""

import asyncio

import structlog

from app.backends.database import Database
from app.recommendations.rollout.assignment import Plan
from core.errors import BackendError
from indexer.rollout.criteria import Totals
from indexer.rollout.outcomes import Variant, record
from indexer.rollout.rollouts import RolloutState, load_state
from indexer.rollout.weight_sets import find
from schemas.weight_sets import PLATFORM
from scoring.weight_set import PLATFORM_SET, WeightSet

log = structlog.get_logger()

POLL_SECONDS = 2.0
"""After this time every process knows that a rollout has begun or ended."""

FIRST_SECONDS = 1.0
"""How long the start of a process waits for its weights."""


class RolloutMonitor:
    def __init__(self, database: Database, setting: str = PLATFORM) -> None:
        """Use the weight set with the reference `setting`, unless another one was promoted."""
        self._database = database
        self._setting = setting
        self.plan = Plan(RolloutState(PLATFORM_SET))
        """The platform's own weights until the others are known."""

    async def find(self, reference: str) -> WeightSet | None:
        """Return a weight set, or None if there is none. Raises: BackendUnavailableError."""
        async with self._database.write() as session:
            return await find(await session.connection(), reference)

    async def start(self) -> None:
        """Load the plan, unless Postgres takes too long: then `run` does so later."""
        try:
            async with asyncio.timeout(FIRST_SECONDS):
                await self.check()
        except TimeoutError:
            log.warning("rollout_unknown", error="TimeoutError")

    async def run(self) -> None:
        """Report outcomes and load the plan periodically, until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await self.check()

    async def check(self) -> None:
        """Report outcomes and load the plan now. While Postgres is unavailable the last plan stays."""
        try:
            await self._report()
            async with self._database.write() as session:
                state = await load_state(await session.connection(), self._setting)
        except BackendError as error:
            log.warning("rollout_unknown", error=type(error).__name__)
            return
        if state is None:
            log.error("weights_missing", weights=self._setting)
        elif state != self.plan.state:
            running = state.running
            log.info(
                "weights_changed",
                weights=state.stable.reference,
                candidate=running and running.candidate.reference,
                percent=running and running.percent,
            )
            self.plan = Plan(state)

    async def _report(self) -> None:
        """Add what was counted to Postgres. What was counted while Postgres is unavailable is lost."""
        running, variants = self.plan.state.running, (self.plan.stable, self.plan.candidate)
        if running is None:
            return
        totals: dict[Variant, Totals] = {
            each.counts.variant: each.counts.take() for each in variants if each is not None and each.counts is not None
        }
        if any(each.requests for each in totals.values()):
            async with self._database.write() as session:
                await record(await session.connection(), running.id, totals)
