"""Structured logs: one line of JSON per event on standard error, without personal data."""

import logging
import sys
from contextvars import ContextVar

import structlog
from structlog.typing import EventDict, WrappedLogger

from core.redaction import redact_values

request_id_var: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Id of the current request; None outside of requests."""


def configure_logs(level: str) -> None:
    structlog.configure(
        processors=[
            add_request_id,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact_pii,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.getLogger("elastic_transport.transport").setLevel(logging.WARNING)


def add_request_id(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    request_id = request_id_var.get()
    return event if request_id is None else {"request_id": request_id, **event}


def redact_pii(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    return redact_values(dict(event))
