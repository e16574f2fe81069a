"""Structured logs: one bounded line per event on standard error, without personal data. JSON, or for a terminal text.

Every process writes all of its logs through `configure_logs`: events of the project, records of libraries, warnings,
and errors that nobody caught.
"""

import json
import logging
import os
import sys
import threading
import traceback
from contextvars import ContextVar
from types import TracebackType
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from core.configuration.settings import LogFormat
from core.logs.redaction import redact_values
from core.logs.repetition import limit_repetition
from core.logs.writer import MAX_LINE_CHARACTERS, log_writer
from core.tracing import spans

request_id_var: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Id of the current request; None outside of requests."""

MAX_EVENT_CHARACTERS = 1000
"""Longest event of a line whose other values had to be left out."""

OWN_LOGGERS = ("uvicorn",)
"""Libraries whose records follow LOG_LEVEL. Others log warnings and errors only: their details may be personal."""

ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def configure_logs(level: str, form: LogFormat = "auto") -> None:
    """Send all logs of this process to standard error; `level` and `form` are settings', such as "info" and "json"."""
    threshold = getattr(logging, level.upper())
    structlog.configure(
        processors=[
            limit_repetition,
            add_ids,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(format_exception),
            redact_pii,
            render_console if is_console(form) else render_json,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=LineLogger,
        # A logger that has been used would keep its first level and processors, whatever is configured later.
        cache_logger_on_first_use=False,
    )
    _configure_library_logs(threshold)
    _log_uncaught_errors()


def _configure_library_logs(threshold: int) -> None:
    logging.basicConfig(handlers=[LibraryHandler()], level=max(threshold, logging.WARNING), force=True)
    for name in OWN_LOGGERS:
        logging.getLogger(name).setLevel(threshold)
    logging.captureWarnings(capture=True)
    # A handler that fails must not print to standard error, which may block.
    logging.raiseExceptions = False


def _log_uncaught_errors() -> None:
    """Have errors that end the process or a thread logged as others are, not printed."""
    log = structlog.get_logger()

    def log_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            log.error("uncaught_error", exc_info=(kind, error, trace))

    def log_thread_error(arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is not None:
            log.error("thread_failed", exc_info=(arguments.exc_type, arguments.exc_value, arguments.exc_traceback))

    sys.excepthook = log_error
    threading.excepthook = log_thread_error
    sys.unraisablehook = lambda arguments: log.error("finaliser_failed", error=type(arguments.exc_value).__name__)


class LineLogger:
    """Write rendered events as lines; the logger that structlog wraps."""

    def __init__(self, *arguments: Any) -> None:
        self._write = log_writer(_standard_error()).write

    def msg(self, line: str) -> None:
        self._write(line)

    debug = info = warning = error = critical = msg


class LibraryHandler(logging.Handler):
    """Write a record of the standard library's logging as an event."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
        structlog.get_logger().log(record.levelno, message, logger=record.name, exc_info=record.exc_info)


def _standard_error() -> int | None:
    """Return the descriptor of standard error, or None if it was closed when the process started."""
    return None if sys.__stderr__ is None else sys.__stderr__.fileno()


def add_ids(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Add the ids of the current request, and of the current trace and span."""
    request_id = request_id_var.get()
    own = {} if request_id is None else {"request_id": request_id}
    return {**own, **spans.ids(), **event}


def format_exception(exc_info: ExceptionInfo) -> str:
    """Return the traceback without the values of variables."""
    kind, error, trace = exc_info
    return "".join(traceback.TracebackException(kind, error, trace, capture_locals=False).format()).rstrip()


def redact_pii(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    return redact_values(dict(event))


def is_console(form: LogFormat) -> bool:
    """Return whether lines are for people: by the setting, or else if they go to a terminal."""
    descriptor = _standard_error()
    return form == "console" or (form == "auto" and descriptor is not None and os.isatty(descriptor))


_console = structlog.dev.ConsoleRenderer(colors=False, repr_native_str=True, pad_event_to=24)


def render_console(logger: WrappedLogger, method: str, event: EventDict) -> str:
    """Return a line for people, without control characters, and below it the traceback if there is one."""
    event["event"] = str(event["event"]).encode("unicode_escape").decode()
    return str(_console(logger, method, event))[:MAX_LINE_CHARACTERS]


def render_json(logger: WrappedLogger, method: str, event: EventDict) -> str:
    line = json.dumps(event, default=repr)
    if len(line) <= MAX_LINE_CHARACTERS:
        return line
    essential = {
        name: event[name] for name in ("request_id", "trace_id", "span_id", "level", "timestamp") if name in event
    }
    return json.dumps({**essential, "event": str(event["event"])[:MAX_EVENT_CHARACTERS], "shortened": True})
