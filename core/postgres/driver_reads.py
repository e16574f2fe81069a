"""Reading by the driver itself: SQLAlchemy compiles the statement and owns the connections, and does no more.

Its session, connection, cursor and result cost several times as much as the driver takes for a small statement.
"""

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any, NamedTuple, TypeVarTuple, cast
from weakref import WeakKeyDictionary

from sqlalchemy import PoolProxiedConnection, Select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.compiler import ExpandedState
from sqlalchemy.util import await_only, greenlet_spawn, is_exit_exception

from core.dependency_calls import record_call
from core.postgres.driver_connection import PostgresConnection
from core.postgres.pool import repeating_statements
from core.postgres.transactions import is_outdated

Columns = TypeVarTuple("Columns")


class _Compiled(NamedTuple):
    text: str
    names: Sequence[str]
    """Names of the parameters, in the order of the text."""
    values: Mapping[str, Any]
    """Values of parameters that the statement itself has."""
    converters: Mapping[str, Callable[[Any], Any]]
    """What SQLAlchemy does to values of some parameters before it sends them."""

    def arguments(self, given: Mapping[str, Any]) -> Sequence[Any]:
        """Return the values to send, those that are given and the statement's own."""
        values = {**self.values, **given}
        converters = self.converters
        return [converters[name](values[name]) if name in converters else values[name] for name in self.names]


async def fetch_rows(
    engine: AsyncEngine, statement: Select[*Columns], parameters: Mapping[str, Any]
) -> Sequence[tuple[*Columns]]:
    """Return the rows of a statement that only reads, with values as the driver returns them.

    No connection is tested before: the statement is repeated once if its connection turns out to be broken, or if a
    table has changed since it was prepared. Raises: what SQLAlchemy raises for a statement.
    """
    compiled = _compile(engine, statement)
    arguments = compiled.arguments(parameters)
    with repeating_statements():
        try:
            rows = await greenlet_spawn(_fetch, engine, compiled.text, arguments)
        except DBAPIError as error:
            if not (error.connection_invalidated or is_outdated(error)):
                raise
            rows = await greenlet_spawn(_fetch, engine, compiled.text, arguments)
    return cast("Sequence[tuple[*Columns]]", rows)


def _compile(engine: AsyncEngine, statement: Select[*Columns]) -> _Compiled:
    """Return the statement in the engine's dialect, from its cache of compiled statements if it has it.

    Looking up an equal statement takes a tenth of compiling it, and the same one next to nothing.
    """
    by_statement = compiled_statements(engine)
    found = by_statement.get(statement)
    if found is None:
        sync_engine = engine.sync_engine
        compiled, extracted, parameters, _ = statement._compile_w_cache(
            sync_engine.dialect, compiled_cache=sync_engine._compiled_cache, column_keys=[]
        )
        found = by_statement[statement] = _bind(compiled, extracted, parameters)
    return found


def compiled_statements(engine: AsyncEngine) -> MutableMapping[Any, _Compiled]:
    """Return what has been compiled, by statement: of statements in use, until the cache of the engine is cleared."""
    cache: Any = engine.sync_engine._compiled_cache
    by_statement: MutableMapping[Any, _Compiled] | None = cache.get(_Compiled)
    if by_statement is None:
        by_statement = cache[_Compiled] = WeakKeyDictionary()
    return by_statement


def _bind(compiled: Any, extracted: Any, parameters: Any) -> _Compiled:
    """Return the text, which equal statements share, with the values of this statement."""
    values = compiled.construct_params(parameters, extracted_parameters=extracted, _check=False)
    state: ExpandedState = compiled.construct_expanded_state(values)
    converters = {**compiled._bind_processors, **state.processors}
    return _Compiled(state.statement, state.positiontup or (), state.parameters, converters)


def _fetch(engine: AsyncEngine, text: str, arguments: Sequence[Any]) -> Sequence[Any]:
    """Run the statement on a connection of the pool, which is dropped if the statement is cancelled or too late.

    Called in a greenlet, as the pool wants it.
    """
    pool = engine.sync_engine.pool
    with _errors_of_sqlalchemy(engine, text):
        connection = pool.connect()
    try:
        with _errors_of_sqlalchemy(engine, text, connection):
            return await_only(_run(engine, connection, text, arguments))
    except BaseException as error:
        if is_exit_exception(error):
            # Cancelled or too late: what the server sends next belongs to this statement.
            connection.invalidate()
        elif isinstance(error, DBAPIError) and error.connection_invalidated:
            # And all connections that are as old, as after statements of SQLAlchemy.
            pool._invalidate(connection, error)
        raise
    finally:
        connection.close()


async def _run(
    engine: AsyncEngine, connection: PoolProxiedConnection, text: str, arguments: Sequence[Any]
) -> Sequence[Any]:
    dialect: Any = engine.dialect
    adapter: Any = connection.dbapi_connection
    driver = cast("PostgresConnection", connection.driver_connection)
    started_at = perf_counter()
    try:
        # A statement on another connection may have met a table that has changed.
        await adapter._check_type_cache_invalidation(dialect._invalidate_schema_cache_asof)
        transaction = driver.transaction(readonly=True)
        await transaction.start()
        # The pool ends it, as it does SQLAlchemy's own.
        adapter._transaction = transaction
        statement = await driver.prepare(text)
        rows = cast("Sequence[Any]", await statement.fetch(*arguments))
    except BaseException as error:
        # Kept in a variable, it would refer to itself through this frame.
        record_call("postgres", "select", perf_counter() - started_at, error)
        raise
    record_call("postgres", "select", perf_counter() - started_at)
    return rows


@contextmanager
def _errors_of_sqlalchemy(
    engine: AsyncEngine, text: str, connection: PoolProxiedConnection | None = None
) -> Iterator[None]:
    """Raise errors of the driver, which has the connection if there is one yet, as SQLAlchemy would."""
    dialect: Any = engine.dialect
    adapter: Any = connection and connection.dbapi_connection
    try:
        with _errors_of_adapter(adapter):
            yield
    except dialect.loaded_dbapi.Error as error:
        is_broken = dialect.is_disconnect(error, adapter, None)
        raised = DBAPIError.instance(
            text,
            None,
            error,
            dialect.loaded_dbapi.Error,
            hide_parameters=True,
            connection_invalidated=is_broken,
            dialect=dialect,
        )
        if is_outdated(raised):
            dialect._invalidate_schema_cache()
        try:
            raise raised from error
        finally:
            # The error refers to this frame.
            del raised


@contextmanager
def _errors_of_adapter(adapter: Any) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if adapter is None:
            raise
        adapter._handle_exception(error)
