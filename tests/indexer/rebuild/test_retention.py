import pytest
from sqlalchemy import select

from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.index.admin import all_names, live_index, swap_alias
from indexer.rebuild.reindex import reindex
from indexer.rebuild.retention import drop_expired_previous_index, drop_unfed_indices, purge_dead_letters
from indexer.rebuild.rollback import rollback
from schemas.tables import DeadLetter
from tests.support.sync import execute, ignore_progress


async def age(backends: Backends, name: str, hours: int) -> None:
    statement = (
        "UPDATE smarttrip.index_targets SET state_since = now() - make_interval(hours => :hours) WHERE name = :name"
    )
    await execute(backends.postgres, statement, name=name, hours=hours)


async def test_expired_previous_index_is_dropped(settings: Settings, backends: Backends, index: str) -> None:
    current = (await reindex(settings, ignore_progress)).name
    await age(backends, index, hours=100)
    await age(backends, current, hours=23)
    assert await drop_expired_previous_index(settings) == []
    assert await all_names(backends.elasticsearch, backends.alias) == {index, current}
    await age(backends, current, hours=25)
    assert await drop_expired_previous_index(settings) == [index]
    assert await all_names(backends.elasticsearch, backends.alias) == {current}


async def test_index_that_was_rolled_back_is_retained(settings: Settings, backends: Backends, index: str) -> None:
    current = (await reindex(settings, ignore_progress)).name
    for name in (index, current):
        await age(backends, name, hours=100)
    assert await rollback(settings) == index
    assert await drop_expired_previous_index(settings) == []
    assert await all_names(backends.elasticsearch, backends.alias) == {index, current}


async def test_live_index_survives_killed_rollback(settings: Settings, backends: Backends, index: str) -> None:
    current = (await reindex(settings, ignore_progress)).name
    for name in (index, current):
        await age(backends, name, hours=100)
    await swap_alias(backends.elasticsearch, backends.alias, current, index)
    # It is in use since now.
    assert await drop_expired_previous_index(settings) == []
    await age(backends, index, hours=100)
    assert await drop_expired_previous_index(settings) == [current]
    assert await live_index(backends.elasticsearch, backends.alias) == index


async def test_only_index_is_never_dropped(settings: Settings, backends: Backends, index: str) -> None:
    await age(backends, index, hours=1000)
    assert await drop_expired_previous_index(settings) == []
    assert await all_names(backends.elasticsearch, backends.alias) == {index}


async def set_clock_ahead(backends: Backends, days: int) -> None:
    """Make everything that was recorded look older, as after a jump of Postgres' clock; the job ran an hour before."""
    await execute(
        backends.postgres,
        "UPDATE smarttrip.index_targets SET (state_since, fed_at)"
        " = (state_since - make_interval(days => :days), fed_at - make_interval(days => :days))",
        days=days,
    )
    await execute(
        backends.postgres,
        "INSERT INTO smarttrip.job_runs (name, succeeded_at)"
        " VALUES ('tidy', now() - make_interval(days => :days, hours => 1))",
        days=days,
    )


@pytest.mark.parametrize("days", [1, 400])
async def test_jump_of_the_clock_drops_no_index(settings: Settings, backends: Backends, index: str, days: int) -> None:
    current = (await reindex(settings, ignore_progress)).name
    other = f"{backends.alias}-other"
    await execute(
        backends.postgres,
        "INSERT INTO smarttrip.index_targets (name, state, mapping_hash) VALUES (:name, 'live', 'another release')",
        name=other,
    )
    await set_clock_ahead(backends, days)
    assert await drop_expired_previous_index(settings) == []
    assert await drop_unfed_indices(settings) == []
    await execute(backends.postgres, "UPDATE smarttrip.job_runs SET succeeded_at = now() - interval '1 hour'")
    assert await drop_expired_previous_index(settings) == [index]
    assert await drop_unfed_indices(settings) == [other]
    assert await all_names(backends.elasticsearch, backends.alias) == {current}


async def test_dead_letters_are_retained_for_30_days(settings: Settings, backends: Backends) -> None:
    await execute(
        backends.postgres,
        "INSERT INTO smarttrip.outbox_dead (kind, row_id, error, created_at, died_at)"
        " SELECT 'occurrence', days, 'bad', now(), now() - make_interval(days => days)"
        " FROM unnest(ARRAY[29, 31]) AS days",
    )
    assert await purge_dead_letters(settings) == 1
    async with backends.postgres.connect() as connection:
        assert list(await connection.scalars(select(DeadLetter.row_id))) == [29]


async def test_newest_dead_letters_are_retained(settings: Settings, backends: Backends) -> None:
    await execute(
        backends.postgres,
        "INSERT INTO smarttrip.outbox_dead (kind, row_id, error, created_at)"
        " SELECT 'occurrence', n, 'bad', now() FROM generate_series(1, 5) AS n",
    )
    assert await purge_dead_letters(settings, max_count=3) == 2
    async with backends.postgres.connect() as connection:
        assert set(await connection.scalars(select(DeadLetter.row_id))) == {3, 4, 5}
