"""What the variants of a rollout came to: every API process adds rows, the worker's job sums up the last minutes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import delete, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from indexer.rollout.criteria import BOUNDS, Totals, reason_to_abort
from indexer.rollout.rollouts import abort, running_criteria
from schemas.tables import RolloutOutcome

Variant = Literal["stable", "candidate"]

WINDOW = text("clock_timestamp() - interval '10 minutes'")
"""Time from which outcomes are compared; older ones are deleted."""

IS_CURRENT = RolloutOutcome.recorded_at > WINDOW


async def record(connection: AsyncConnection, rollout: UUID, totals: Mapping[Variant, Totals]) -> None:
    """Add what happened in this process since it did so last."""
    rows = [{"rollout_id": rollout, "variant": variant, **asdict(each)} for variant, each in totals.items()]
    await connection.execute(insert(RolloutOutcome), rows)


async def read_totals(connection: AsyncConnection, rollout: UUID) -> dict[Variant, Totals]:
    """Return the sums of the last minutes by variant."""
    of_rollout = IS_CURRENT & (RolloutOutcome.rollout_id == rollout)
    found: dict[Variant, list[Any]] = {"stable": [], "candidate": []}
    for row in await connection.execute(select(*RolloutOutcome.__table__.c).where(of_rollout)):
        found[row.variant].append(row)
    return {variant: _sum(rows) for variant, rows in found.items()}


async def check(connection: AsyncConnection) -> str | None:
    """Roll back the rollout that runs if it misses a criterion, and return which. Delete old outcomes."""
    await connection.execute(delete(RolloutOutcome).where(~IS_CURRENT))
    running = await running_criteria(connection)
    if running is None:
        return None
    rollout, criteria = running
    totals = await read_totals(connection, rollout)
    reason = reason_to_abort(totals["stable"], totals["candidate"], criteria)
    if reason is None or not await abort(connection, rollout, by="worker", reason=reason):
        return None
    return reason


def _sum(rows: Sequence[Any]) -> Totals:
    buckets = [sum(counts) for counts in zip(*(row.latencies for row in rows), strict=True)]
    return Totals(
        requests=sum(row.requests for row in rows),
        failures=sum(row.failures for row in rows),
        searches=sum(row.searches for row in rows),
        empty=sum(row.empty for row in rows),
        latencies=buckets or (0,) * (len(BOUNDS) + 1),
    )
