"""Rollouts in Postgres: what runs, what is stable, and what the worker's job turns back."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from indexer.rollout import rollouts
from indexer.rollout.criteria import BOUNDS, AbortCriteria, Totals
from indexer.rollout.outcomes import check, read_totals, record
from indexer.rollout.rollouts import RolloutError, RolloutState
from indexer.rollout.weight_sets import add
from schemas.tables import RolloutOutcome
from scoring.weights import Weights

CRITERIA = AbortCriteria(at_least=10)
GOOD = Totals(requests=20, failures=0, searches=20, empty=1, latencies=(0, 20, *(0,) * (len(BOUNDS) - 1)))
BAD = Totals(requests=20, failures=0, searches=20, empty=20, latencies=GOOD.latencies)


@pytest.fixture
async def sets(database: AsyncEngine) -> AsyncEngine:
    async with database.begin() as connection:
        for name in ("summer", "winter"):
            await add(connection, name, Weights(country=len(name) + 10), by="dana")
    return database


async def state(engine: AsyncEngine, setting: str = "platform") -> tuple[str, str | None, int]:
    async with engine.connect() as connection:
        found = await rollouts.load_state(connection, setting)
    assert isinstance(found, RolloutState)
    running = found.running
    if running is None:
        return found.stable.reference, None, 0
    return found.stable.reference, running.candidate.reference, running.percent


async def change(engine: AsyncEngine, work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    async with engine.begin() as connection:
        return await work(connection, *arguments, **named)


async def begin(engine: AsyncEngine, candidate: str, percent: int = 10) -> Any:
    return await change(engine, rollouts.start, "platform", candidate, percent, CRITERIA, by="dana")


async def test_rollout_begins_grows_and_is_promoted(sets: AsyncEngine) -> None:
    assert await state(sets) == ("platform", None, 0)
    first = await begin(sets, "summer@1", 10)
    assert await state(sets) == ("platform", "summer@1", 10)
    assert await begin(sets, "summer@1", 50) == first
    assert await state(sets) == ("platform", "summer@1", 50)
    await change(sets, rollouts.promote, by="dana")
    assert await state(sets) == ("summer@1", None, 0)


async def test_rollback_ends_what_runs_and_then_undoes_promotions(sets: AsyncEngine) -> None:
    for candidate in ("summer@1", "winter@1"):
        await begin(sets, candidate)
        await change(sets, rollouts.promote, by="dana")
    await begin(sets, "platform")
    expected = [("winter@1", None, 0), ("summer@1", None, 0), ("platform", None, 0)]
    for after in expected:
        await change(sets, rollouts.roll_back, by="ben", reason="a test")
        assert await state(sets) == after
    with pytest.raises(RolloutError, match="No rollout is running"):
        await change(sets, rollouts.roll_back, by="ben")
    async with sets.connect() as connection:
        kept = await rollouts.history(connection)
    assert [(each.candidate, each.outcome, each.ended_by) for each in kept] == [
        ("platform", "rolled_back", "ben"),
        ("winter@1", "rolled_back", "ben"),
        ("summer@1", "rolled_back", "ben"),
    ]


async def test_second_candidate_unknown_set_and_stable_set_are_refused(sets: AsyncEngine) -> None:
    for candidate, sentence in (("autumn@1", "There is no weight set"), ("platform", "stable set already")):
        with pytest.raises(RolloutError, match=sentence):
            await begin(sets, candidate)
    await begin(sets, "summer@1")
    with pytest.raises(RolloutError, match=r"A rollout of summer@1 is running"):
        await begin(sets, "winter@1")


async def test_one_of_two_rollouts_that_begin_at_once_is_refused(sets: AsyncEngine) -> None:
    begun = await asyncio.gather(begin(sets, "summer@1"), begin(sets, "winter@1"), return_exceptions=True)
    assert [type(each) for each in begun].count(rollouts.OtherRolloutError) == 1


async def test_job_leaves_a_good_candidate_alone(sets: AsyncEngine) -> None:
    id_ = await begin(sets, "summer@1")
    await change(sets, record, id_, {"stable": GOOD, "candidate": GOOD})
    assert await change(sets, check) is None
    assert await state(sets) == ("platform", "summer@1", 10)


async def test_job_turns_a_bad_candidate_back(sets: AsyncEngine) -> None:
    id_ = await begin(sets, "summer@1")
    await change(sets, record, id_, {"stable": GOOD, "candidate": BAD})
    reason = await change(sets, check)
    assert reason == "100.0% of the searches found nothing, allowed are 10.0%."
    assert await state(sets) == ("platform", None, 0)
    async with sets.connect() as connection:
        (record_of_it,) = await rollouts.history(connection)
    assert (record_of_it.outcome, record_of_it.ended_by, record_of_it.reason) == ("rolled_back", "worker", reason)
    assert await change(sets, check) is None


async def test_outcomes_of_processes_are_summed_up_and_old_ones_deleted(sets: AsyncEngine) -> None:
    id_ = await begin(sets, "summer@1")
    await change(sets, record, id_, {"stable": BAD})
    async with sets.begin() as connection:
        await connection.execute(text("UPDATE smarttrip.rollout_outcomes SET recorded_at = now() - interval '1 hour'"))
    for _ in range(3):
        await change(sets, record, id_, {"stable": GOOD, "candidate": BAD})
    async with sets.connect() as connection:
        totals = await read_totals(connection, id_)
    assert (totals["stable"].searches, totals["stable"].empty, totals["candidate"].empty) == (60, 3, 60)
    assert sum(totals["stable"].latencies) == 60
    await change(sets, check)
    async with sets.connect() as connection:
        assert len((await connection.execute(select(RolloutOutcome.id))).all()) == 6
