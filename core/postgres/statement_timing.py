"""Time of SQL statements."""

from time import perf_counter
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext

from core.dependency_calls import record_call


def measure_statements(engine: Engine) -> None:
    """Measure every statement of the engine, those that fail included."""
    event.listen(engine, "before_cursor_execute", _start)
    event.listen(engine, "after_cursor_execute", _end)
    event.listen(engine, "handle_error", _end_failed)


def _start(  # noqa: PLR0913, PLR0917  # SQLAlchemy's signature
    connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
) -> None:
    context.started_at = perf_counter()


def _end(  # noqa: PLR0913, PLR0917
    connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
) -> None:
    _add(context, None)


def _end_failed(failure: ExceptionContext) -> None:
    _add(failure.execution_context, failure.original_exception)


def _add(context: Any, error: BaseException | None) -> None:
    started_at = getattr(context, "started_at", None)
    if started_at is not None:
        # A long statement is not split as a whole.
        verb, *_ = (context.statement or "")[:20].split(None, 1) or [""]
        record_call("postgres", verb.lower(), perf_counter() - started_at, error)
