from collections.abc import Sequence
from time import monotonic

import pytest
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from indexer.index import outbox
from indexer.index.outbox import DIRECT, FANNED_OUT, BatchLimits, ClaimedRow
from schemas.tables import DeadLetter, OutboxRow
from tests.support.sync import execute


async def put(engine: AsyncEngine, count: int, *, lane: int = DIRECT, attempts: int = 0) -> None:
    rows = [{"kind": "occurrence", "row_id": number, "lane": lane, "attempts": attempts} for number in range(count)]
    async with engine.begin() as connection:
        await connection.execute(insert(OutboxRow), rows)


LIMITS = BatchLimits(newest=2, oldest=3, fan_out=4, max_fanned_backlog=4)


async def claim(engine: AsyncEngine, *, retry: bool = True) -> list[ClaimedRow]:
    async with engine.begin() as connection:
        return await outbox.claim(connection, limits=LIMITS, retry=retry)


def row_ids(rows: Sequence[ClaimedRow], lane: int = DIRECT) -> set[int | None]:
    return {row.row_id for row in rows if row.lane == lane}


async def test_oldest_and_newest_rows_are_claimed(database: AsyncEngine) -> None:
    await put(database, 10)
    assert row_ids(await claim(database)) == {0, 1, 2, 8, 9}


async def test_row_in_both_shares_is_claimed_once(database: AsyncEngine) -> None:
    await put(database, 4)
    assert len(await claim(database)) == 4


async def test_lanes_do_not_starve_each_other(database: AsyncEngine) -> None:
    await put(database, 50)
    await put(database, 50, lane=FANNED_OUT)
    rows = await claim(database)
    assert (len(row_ids(rows)), len(row_ids(rows, FANNED_OUT))) == (5, 4)


async def test_begun_fan_outs_wait_for_full_backlog(
    database: AsyncEngine,
) -> None:
    async with database.begin() as connection:
        rows = [{"kind": "company", "row_id": 1, "cursor": None}, {"kind": "company", "row_id": 2, "cursor": 7}]
        await connection.execute(insert(OutboxRow), rows)
    await put(database, 4, lane=FANNED_OUT)
    assert companies(await claim(database)) == {1, 2}
    await put(database, 1, lane=FANNED_OUT)
    assert companies(await claim(database)) == {1}


def companies(rows: Sequence[ClaimedRow]) -> set[int | None]:
    return {row.row_id for row in rows if row.kind == "company"}


async def test_claimed_rows_are_skipped_by_others(database: AsyncEngine) -> None:
    await put(database, 6)
    async with database.begin() as connection:
        first = await outbox.claim(connection, limits=LIMITS, retry=True)
        second = await claim(database)
    assert row_ids(first).isdisjoint(row_ids(second))
    assert row_ids(first) | row_ids(second) == set(range(6))


async def test_failed_rows_are_claimed_only_on_retry(database: AsyncEngine) -> None:
    await put(database, 2, attempts=1)
    assert await claim(database, retry=False) == []
    assert len(await claim(database, retry=True)) == 2


async def test_late_commit_is_still_claimed(database: AsyncEngine) -> None:
    async with database.connect() as slow:
        await slow.execute(insert(OutboxRow).values(kind="occurrence", row_id=100))
        await put(database, 1)
        (first,) = await claim(database)
        async with database.begin() as connection:
            await outbox.remove(connection, [first.id])
        await slow.commit()
    (late,) = await claim(database)
    assert late.row_id == 100
    assert late.id < first.id


async def test_remove_deletes_only_given_rows(database: AsyncEngine) -> None:
    await put(database, 3)
    rows = sorted(await claim(database), key=lambda row: row.id)
    async with database.begin() as connection:
        await outbox.remove(connection, [rows[1].id])
    assert row_ids(await claim(database)) == {0, 2}


async def test_attempts_are_counted(database: AsyncEngine) -> None:
    await put(database, 2)
    first, second = await claim(database)
    async with database.begin() as connection:
        await outbox.count_attempt(connection, [first.id])
    assert {row.id: row.attempts for row in await claim(database)} == {first.id: 1, second.id: 0}


async def test_dead_letter_has_row_reason_and_age(database: AsyncEngine) -> None:
    await put(database, 2)
    rows = await claim(database)
    async with database.begin() as connection:
        await outbox.insert_dead_letters(connection, rows, {1: "too bad"})
        (letter,) = (await connection.execute(select(DeadLetter.__table__))).all()
    (dead,) = (row for row in rows if row.row_id == 1)
    assert (letter.kind, letter.row_id, letter.error, letter.created_at) == (
        "occurrence",
        1,
        "too bad",
        dead.created_at,
    )


async def test_fanned_row_has_age_of_its_cause(database: AsyncEngine) -> None:
    await put(database, 1)
    (cause,) = await claim(database)
    async with database.begin() as connection:
        await outbox.enqueue(connection, [7, 8], lane=FANNED_OUT, since=cause.created_at)
    added = [row for row in await claim(database) if row.lane == FANNED_OUT]
    assert {(row.row_id, row.created_at) for row in added} == {(7, cause.created_at), (8, cause.created_at)}


@pytest.mark.parametrize(("age", "expected"), [("10 seconds", 10), ("-1 hour", 0), ("400 days", 400 * 86_400)])
async def test_age_of_a_change_is_measured_by_postgres_and_never_negative(
    database: AsyncEngine, age: str, expected: float
) -> None:
    """A negative age is what a clock that has gone back makes of it."""
    await execute(
        database,
        "INSERT INTO smarttrip.outbox (kind, row_id, created_at)"
        " VALUES ('occurrence', 1, now() - CAST(CAST(:age AS text) AS interval))",
        age=age,
    )
    (row,) = await claim(database)
    async with database.connect() as connection:
        backlog = (await connection.execute(outbox.BACKLOG)).one()
    assert monotonic() - row.changed_at == pytest.approx(expected, abs=1)
    assert float(backlog.oldest) == pytest.approx(expected, abs=1)
