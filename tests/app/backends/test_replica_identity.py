"""A server is read as a replica only if it is one: of the primary's cluster and database, and not ahead of it."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from app.backends.database import Database
from app.backends.replica_identity import ServerState, find_lag, find_mismatch
from app.backends.replica_pool import CHECK_TIMEOUT, ReplicaPool
from core import clients
from core.configuration.settings import Settings
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy, Mode

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
PRIMARY = ServerState("1", 5, NOW, False, position=100, clock=NOW, replayed_at=None, has_replayed_all=False)
STANDBY = replace(PRIMARY, started_at=NOW - timedelta(days=1), is_standby=True, position=90, replayed_at=NOW)


@pytest.mark.parametrize(
    ("changes", "mismatch"),
    [
        ({}, None),
        ({"position": 100}, None),
        ({"position": None}, None),
        ({"position": 101}, "ahead"),
        ({"system": "2"}, "cluster"),
        ({"database": 6}, "database"),
        ({"is_standby": False}, "promoted"),
        ({"is_standby": False, "started_at": PRIMARY.started_at}, None),
    ],
)
def test_standby_that_differs_is_named(changes: dict[str, Any], mismatch: str | None) -> None:
    found = find_mismatch(replace(STANDBY, **changes), PRIMARY, same_moment=True)
    assert (found is None) == (mismatch is None)
    assert (mismatch or "") in (found or "")


def test_positions_of_different_moments_are_not_compared() -> None:
    assert find_mismatch(replace(STANDBY, position=101), PRIMARY, same_moment=False) is None
    assert find_mismatch(STANDBY, None, same_moment=False) is not None


@pytest.mark.parametrize("standby_clock", [timedelta(), timedelta(hours=1), timedelta(hours=-1)], ids=str)
@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        pytest.param({"replayed_at": NOW - timedelta(seconds=7)}, 7, id="behind"),
        pytest.param({"replayed_at": NOW + timedelta(seconds=7)}, 0, id="ahead"),
        pytest.param({"replayed_at": NOW - timedelta(hours=1), "has_replayed_all": True}, 0, id="idle"),
        pytest.param({"replayed_at": None}, timedelta.max.total_seconds(), id="nothing replayed"),
        pytest.param({"replayed_at": None, "is_standby": False}, 0, id="primary"),
    ],
)
def test_lag_does_not_depend_on_the_clock_of_the_standby(
    changes: dict[str, Any], seconds: float, standby_clock: timedelta
) -> None:
    assert find_lag(replace(STANDBY, clock=NOW + standby_clock, **changes), NOW).total_seconds() == seconds


@pytest.fixture
async def primary(settings: Settings) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(settings.database_url) as proxy:
        yield proxy


async def checked(pool: ReplicaPool) -> AsyncEngine | None:
    """Return the engine that is picked once all replicas have been checked."""
    pool.pick()
    await eventually(lambda: all(replica.checked_at > 0 for replica in pool._replicas))
    return pool.pick()


async def test_another_database_is_not_read(settings: Settings, services: Settings) -> None:
    other = make_url(settings.database_url).set(database=make_url(services.database_url).database)
    engines = [clients.postgres(url) for url in (settings.database_url, other.render_as_string(hide_password=False))]
    database = Database(engines[0], engines[1:])
    assert await checked(database._replicas) is None
    assert database._replicas._replicas[0].mismatch == "another database"
    await database.close()


async def test_replica_serves_while_the_primary_is_down(settings: Settings, primary: FaultProxy) -> None:
    database = Database(clients.postgres(primary.url), [clients.postgres(settings.database_url)])
    assert await checked(database._replicas) is not None
    await primary.switch(Mode.CUT)
    (replica,) = database._replicas._replicas
    await database._replicas._check(replica)
    assert replica.usable
    await database.close()


async def test_result_is_as_old_as_the_replica_was_read(settings: Settings, primary: FaultProxy) -> None:
    """A check that waits for the primary must not let a replica lag for longer."""
    database = Database(clients.postgres(primary.url), [clients.postgres(settings.database_url)])
    assert await checked(database._replicas) is not None
    await primary.switch(Mode.STALL)
    (replica,) = database._replicas._replicas
    began = time.monotonic()
    await database._replicas._check(replica)
    assert replica.usable
    assert replica.checked_at - began < CHECK_TIMEOUT / 2 < time.monotonic() - began
    await database.close()


async def test_unknown_primary_leaves_replicas_unused(settings: Settings, primary: FaultProxy) -> None:
    await primary.switch(Mode.CUT)
    database = Database(clients.postgres(primary.url), [clients.postgres(settings.database_url)])
    assert await checked(database._replicas) is None
    await database.close()
