"""One line of JSON per event, on standard error."""

import logging
import re
import sys
from contextvars import ContextVar

import structlog
from structlog.typing import EventDict, WrappedLogger

request_id_var: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Of the request that is being answered."""

PII_PATTERN = re.compile(
    r"(?s:DETAIL: .*?(?=\n\[SQL|\n\n|\Z))"  # the row that Postgres refused
    r"|[^\s/'\"(),:;=<>]+@[^\s/'\"(),:;=<>]+"  # e-mail addresses, and passwords in addresses of servers
    r"|eyJ[\w-]+\.[\w.-]+"  # tokens
)
"""What an error's text may hold of people."""


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
    asked = request_id_var.get()
    return event if asked is None else {"request_id": asked, **event}


def redact_pii(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    return {name: PII_PATTERN.sub("***", value) if isinstance(value, str) else value for name, value in event.items()}
