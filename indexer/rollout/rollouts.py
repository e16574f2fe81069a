"""Rollouts in Postgres: at most one runs; what was promoted last is the stable set of every process."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import InstrumentedAttribute

from indexer.rollout.criteria import AbortCriteria
from indexer.rollout.weight_sets import find
from schemas.tables import Rollout
from scoring.weight_set import WeightSet

LOCK = text("LOCK TABLE smarttrip.rollouts IN SHARE ROW EXCLUSIVE MODE")

PROMOTED = "promoted"
ROLLED_BACK = "rolled_back"

IS_RUNNING = Rollout.ended_at.is_(None)
IS_PROMOTED = Rollout.outcome == PROMOTED


class RolloutError(Exception):
    """What was asked for is not possible now; `str()` is a sentence that says why."""


class OtherRolloutError(RolloutError):
    """A rollout of another candidate is running."""


class UnknownCandidateError(RolloutError):
    """There is no such weight set."""


@dataclass(frozen=True)
class Running:
    """A rollout that runs."""

    id: UUID
    candidate: WeightSet
    percent: int
    """Share of the clients that the candidate answers."""


@dataclass(frozen=True)
class RolloutState:
    stable: WeightSet
    running: Running | None = None


@dataclass(frozen=True)
class RolloutRecord:
    """A rollout of the past or the present."""

    id: UUID
    candidate: str
    percent: int
    started_at: datetime
    started_by: str
    ended_at: datetime | None
    ended_by: str | None
    outcome: str | None
    reason: str | None


async def load_state(connection: AsyncConnection, setting: str) -> RolloutState | None:
    """Return what applies now; None if the stable set is not there.

    `setting` is the stable set as long as none was promoted. A candidate that this release cannot use gets no clients.
    """
    columns = (Rollout.id, Rollout.candidate, Rollout.percent, Rollout.outcome)
    rows = await connection.execute(_latest(*columns).limit(2))
    by_outcome = {row.outcome: row for row in reversed(rows.all())}
    running, promoted = by_outcome.get(None), by_outcome.get(PROMOTED)
    stable = await find(connection, setting if promoted is None else promoted.candidate)
    if stable is None:
        return None
    candidate = None if running is None else await find(connection, running.candidate)
    if running is None or candidate is None or candidate == stable:
        return RolloutState(stable)
    return RolloutState(stable, Running(running.id, candidate, running.percent))


async def start(  # noqa: PLR0913 -- what a rollout consists of
    connection: AsyncConnection, setting: str, candidate: str, percent: int, criteria: AbortCriteria, *, by: str
) -> UUID:
    """Begin a rollout, or change the share and the criteria of the one that runs. Raises: RolloutError."""
    await connection.execute(LOCK)
    if await find(connection, candidate) is None:
        raise UnknownCandidateError(f"There is no weight set {candidate}.")
    running = (await connection.execute(select(Rollout.id, Rollout.candidate).where(IS_RUNNING))).one_or_none()
    if running is not None and running.candidate != candidate:
        raise OtherRolloutError(f"A rollout of {running.candidate} is running: promote it or roll it back first.")
    values = {"percent": percent, "criteria": criteria.model_dump()}
    if running is not None:
        await connection.execute(update(Rollout).where(Rollout.id == running.id).values(values))
        return UUID(str(running.id))
    state = await load_state(connection, setting)
    if state is not None and state.stable.reference == candidate:
        raise RolloutError(f"{candidate} is the stable set already.")
    row = {**values, "candidate": candidate, "started_by": by}
    return (await connection.execute(insert(Rollout).values(row).returning(Rollout.id))).scalar_one()


async def promote(connection: AsyncConnection, *, by: str) -> str:
    """Make the candidate of the rollout that runs the stable set; return it. Raises: RolloutError."""
    return await _end(connection, IS_RUNNING, PROMOTED, by=by, reason=None)


async def roll_back(connection: AsyncConnection, *, by: str, reason: str | None = None) -> str:
    """End the rollout that runs, else undo the last promotion; return its candidate. Raises: RolloutError."""
    await connection.execute(LOCK)
    id_ = await connection.scalar(_latest(Rollout.id).limit(1))
    return await _end(connection, Rollout.id == id_, ROLLED_BACK, by=by, reason=reason)


async def abort(connection: AsyncConnection, rollout: UUID, *, by: str, reason: str) -> bool:
    """Roll back this very rollout; return False if it has ended already."""
    try:
        await _end(connection, (Rollout.id == rollout) & IS_RUNNING, ROLLED_BACK, by=by, reason=reason)
    except RolloutError:
        return False
    return True


async def history(connection: AsyncConnection, limit: int = 10) -> Sequence[RolloutRecord]:
    """Return the last rollouts, the latest first."""
    names = RolloutRecord.__dataclass_fields__
    columns = [getattr(Rollout, name) for name in names]
    rows = await connection.execute(select(*columns).order_by(Rollout.started_at.desc()).limit(limit))
    return [RolloutRecord(*row) for row in rows]


async def running_criteria(connection: AsyncConnection) -> tuple[UUID, AbortCriteria] | None:
    """Return the id and the criteria of the rollout that runs."""
    row = (await connection.execute(select(Rollout.id, Rollout.criteria).where(IS_RUNNING))).one_or_none()
    return None if row is None else (row.id, AbortCriteria.model_validate(row.criteria))


def _latest(*columns: InstrumentedAttribute[Any]) -> Select[Any]:
    """Return the statement of the rollout that runs, and then of the promotions, the latest first."""
    return select(*columns).where(or_(IS_RUNNING, IS_PROMOTED)).order_by(Rollout.ended_at.desc().nulls_first())


async def _end(connection: AsyncConnection, which: Any, outcome: str, *, by: str, reason: str | None) -> str:
    values = {"ended_at": func.clock_timestamp(), "ended_by": by, "outcome": outcome, "reason": reason}
    ended = await connection.execute(update(Rollout).where(which).values(values).returning(Rollout.candidate))
    candidate: str | None = ended.scalar_one_or_none()
    if candidate is None:
        raise RolloutError("No rollout is running.")
    return candidate
