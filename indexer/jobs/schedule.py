"""The worker's jobs: what runs on schedule, and what can be requested by name."""

from contextlib import suppress

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from indexer import metrics
from indexer.errors import ReindexRunningError
from indexer.jobs.names import REINDEX, TIDY, VERIFY
from indexer.jobs.queue import Job
from indexer.rebuild import retention
from indexer.rebuild.verify import VerifyOptions, verify
from indexer.rollout import outcomes
from indexer.supervisor import IndexSupervisor
from tracking.aggregation.daily import aggregate_days
from tracking.aggregation.trips import aggregate_trips
from tracking.retention import remove_old
from tracking.sessions import close_sessions

log = structlog.get_logger()

VERIFY_RATE = 2000.0
"""Departures per second: slow enough not to affect requests."""

EVERY_MINUTE = frozenset(range(60))
EVERY_15_MINUTES = frozenset(range(0, 60, 15))
NIGHT = frozenset({1})
SHORT = 60.0
LONG = 3600.0


def scheduled_jobs(settings: Settings, engine: AsyncEngine, supervisor: IndexSupervisor) -> list[Job]:
    async def reindex() -> None:
        supervisor.request_reindex()

    async def verify_index() -> None:
        result = await verify(settings, repair=False, options=VerifyOptions(rate=VERIFY_RATE))
        metrics.DRIFTED.inc(result.drifted)
        log.info("index_verified", checked=result.checked, drifted=result.drifted, lagging=result.lagging)

    async def clean_up() -> None:
        with suppress(ReindexRunningError):
            await retention.drop_expired_previous_index(settings)
            await retention.drop_unfed_indices(settings)
        await retention.purge_dead_letters(settings)

    async def count_trips() -> None:
        await aggregate_trips(engine)

    async def count_days() -> None:
        await aggregate_days(engine)

    async def end_sessions() -> None:
        await close_sessions(engine)

    async def check_rollout() -> None:
        async with engine.begin() as connection:
            reason = await outcomes.check(connection)
        if reason is not None:
            metrics.ROLLOUTS_ABORTED.inc()
            log.error("rollout_aborted", reason=reason)

    async def purge_tracking() -> None:
        await remove_old(engine, settings.tracking_retention_days)

    return [
        Job(REINDEX, reindex, SHORT),
        Job(VERIFY, verify_index, LONG, minutes=frozenset({17})),
        Job(TIDY, clean_up, SHORT, minutes=frozenset({7})),
        Job("check_rollout", check_rollout, SHORT, minutes=EVERY_MINUTE),
        Job("count_trips", count_trips, SHORT, minutes=EVERY_15_MINUTES),
        Job("count_days", count_days, SHORT, minutes=EVERY_15_MINUTES),
        Job("end_sessions", end_sessions, SHORT, minutes=EVERY_15_MINUTES),
        Job("forget_tracking", purge_tracking, LONG, NIGHT, frozenset({23})),
    ]
