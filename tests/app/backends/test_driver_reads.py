"""Reading by the driver itself behaves as reading in a session does, whatever goes wrong."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from typing import Any
from weakref import ref

import pytest
from sqlalchemy import Integer, Select, bindparam, column, func, literal, literal_column, select, table, text
from sqlalchemy.exc import DBAPIError

from app.backends import factory
from app.backends.database import Database
from core.configuration.postgres_url import parse_postgres_url
from core.configuration.settings import Settings
from core.errors import BackendUnavailableError, DatabaseDiffersError, PoolExhaustedError
from core.postgres.driver_connection import PostgresConnection
from core.postgres.driver_reads import compiled_statements
from core.request_record import RequestRecord, record_var
from schemas.tables import Company, TripOccurrence

FAILING: dict[str, Select[Any]] = {
    "division by zero": select(literal_column("1 / 0")),
    "no such table": select(column("id")).select_from(table("no_such_table")),
    "no such column": select(column("no_such_column")).select_from(TripOccurrence.__table__),
    "no such function": select(literal_column("no_such_function()")),
    "too long": select(func.pg_sleep(30)),
    "cancelled": select(func.pg_cancel_backend(func.pg_backend_pid())),
    "no value that Postgres converts": select(literal_column("'text'::integer")),
}
SECONDS = 0.3
PROCESS = select(func.pg_backend_pid())
BY_ID = select(Company.id).where(Company.id == bindparam("id", type_=Integer))


@pytest.fixture
async def own_database(settings: Settings) -> AsyncIterator[Database]:
    bounds = {"postgres_connections": 1, "postgres_statement_seconds": SECONDS, "postgres_pool_seconds": SECONDS}
    database = factory.database(settings.model_copy(update=bounds))
    yield database
    await database.close()


async def session_error(database: Database, statement: Select[Any]) -> BaseException:
    with pytest.raises(Exception) as raised:  # noqa: PT011  # whatever it is
        async with database.read() as session:
            await session.execute(statement)
    return raised.value


async def driver_error(database: Database, statement: Select[*tuple[Any, ...]]) -> BaseException:
    with pytest.raises(Exception) as raised:  # noqa: PT011
        await database.fetch(statement)
    return raised.value


def described(error: BaseException) -> list[object]:
    """Return the chain of the error: kinds, and what SQLAlchemy and the driver say of them."""
    chain: list[object] = []
    cause: BaseException | None = error
    while cause is not None:
        is_broken = isinstance(cause, DBAPIError) and cause.connection_invalidated
        chain.append((type(cause), is_broken, getattr(cause, "sqlstate", None)))
        cause = cause.__cause__
    return chain


@pytest.mark.parametrize("reason", FAILING)
async def test_error_is_that_of_a_session(own_database: Database, reason: str) -> None:
    expected = await session_error(own_database, FAILING[reason])
    assert described(await driver_error(own_database, FAILING[reason])) == described(expected)


@pytest.mark.parametrize("reason", FAILING)
async def test_connection_is_good_after_an_error(own_database: Database, reason: str) -> None:
    await driver_error(own_database, FAILING[reason])
    # There is only one.
    assert [tuple(row) for row in await own_database.fetch(select(literal(7)))] == [(7,)]
    assert own_database.primary.sync_engine.pool.status().endswith("Current Checked out connections: 0")


async def test_error_tells_no_values(own_database: Database) -> None:
    error = await driver_error(own_database, select(literal_column("1 / 0", Integer), literal("secret")))
    assert "secret" not in str(error)


async def test_cancelled_read_leaves_no_response_to_the_next_one(own_database: Database) -> None:
    ((process,),) = await own_database.fetch(PROCESS)
    slow = asyncio.create_task(own_database.fetch(select(literal(1)).select_from(func.pg_sleep(0.2))))
    await asyncio.sleep(0.1)
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    assert [tuple(row) for row in await own_database.fetch(select(literal(7)))] == [(7,)]
    # As SQLAlchemy does with a connection in that state.
    ((other,),) = await own_database.fetch(PROCESS)
    assert other != process


async def test_reads_beyond_the_pool_wait_and_then_fail(own_database: Database) -> None:
    started_at = time.monotonic()
    async with own_database.read() as session:
        await session.execute(text("SELECT 1"))
        with pytest.raises(PoolExhaustedError):
            await own_database.fetch(select(literal(7)))
    assert SECONDS <= time.monotonic() - started_at < SECONDS + 1


async def test_reading_leaves_the_connection_fit_for_writing(own_database: Database) -> None:
    await own_database.fetch(select(literal(7)))
    async with own_database.write() as session:
        await session.execute(text("CREATE TEMPORARY TABLE written (id integer)"))
        assert await session.scalar(text("SHOW transaction_read_only")) == "off"


async def test_behind_a_pooler_each_read_brings_the_settings(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    executed: list[str] = []
    execute, set_up = PostgresConnection.execute, PostgresConnection.keep_statements

    async def recorded(connection: PostgresConnection, query: str, *arguments: Any, **named: Any) -> str:
        executed.append(query)
        return await execute(connection, query, *arguments, **named)

    def behind_a_pooler(connection: PostgresConnection, number: int) -> None:
        connection.pooled_address = connection.pooled_address or parse_postgres_url(settings.database_url)
        set_up(connection, number)

    monkeypatch.setattr(PostgresConnection, "execute", recorded)
    monkeypatch.setattr(PostgresConnection, "keep_statements", behind_a_pooler)
    database = factory.database(settings)
    setting = select(func.current_setting("bytea_output"), func.current_setting("transaction_read_only"))
    # The first one connects, too.
    await database.fetch(setting)
    executed.clear()
    found = [tuple(row) for row in await database.fetch(setting)]
    await database.close()
    assert found == [("hex", "on")]
    assert executed == ["BEGIN READ ONLY;", "ROLLBACK;"]


async def test_values_of_the_statement_and_of_the_call_are_sent(own_database: Database) -> None:
    statement = select(literal(3), bindparam("given", type_=Integer), literal("a").in_(["a", "b"]))
    for given in (5, 6):
        assert [tuple(row) for row in await own_database.fetch(statement, given=given)] == [(3, given, True)]


async def test_text_follows_what_differs_in_the_database(own_database: Database) -> None:
    assert await own_database.fetch(BY_ID, id=-1) == []
    assert BY_ID in compiled_statements(own_database.primary)
    own_database.primary.clear_compiled_cache()
    assert BY_ID not in compiled_statements(own_database.primary)


async def test_statements_that_are_no_longer_used_are_not_kept(own_database: Database) -> None:
    statements = [select(literal(number)) for number in range(3)]
    for number, statement in enumerate(statements):
        assert [*await own_database.fetch(statement)] == [(number,)]
    kept = [ref(statement) for statement in statements]
    del statement, statements
    gc.collect()
    # SQLAlchemy itself keeps the first of equal statements.
    assert [statement() for statement in kept[1:]] == [None, None]


async def test_read_counts_for_the_request_and_fails_as_what_it_is(own_database: Database) -> None:
    record = RequestRecord()
    token = record_var.set(record)
    try:
        await own_database.fetch(select(literal(1)).select_from(func.pg_sleep(0.02)))
    finally:
        record_var.reset(token)
    assert record.stages["postgres"] >= 0.02


@pytest.mark.parametrize("reason", ["no such table", "no such column", "no such function"])
async def test_database_that_differs_opens_no_breaker(own_database: Database, reason: str) -> None:
    for _ in range(10):
        assert isinstance(await driver_error(own_database, FAILING[reason]), DatabaseDiffersError)
    assert own_database.breaker.state == 0


async def test_outage_opens_the_breaker(settings: Settings) -> None:
    database = factory.database(settings.model_copy(update={"database_url": "postgresql://user@127.0.0.1:1/none"}))
    for _ in range(5):
        with pytest.raises(BackendUnavailableError):
            await database.fetch(select(literal(1)))
    assert database.breaker.state != 0
    await database.close()
