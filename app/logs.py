"""One line of JSON per event, on standard error."""

import logging
import re
import sys

import structlog
from structlog.typing import EventDict, WrappedLogger

PERSONAL = re.compile(
    r"(?s:DETAIL: .*?(?=\n\[SQL|\n\n|\Z))"  # the row that Postgres refused
    r"|[^\s/'\"(),:;=<>]+@[^\s/'\"(),:;=<>]+"  # e-mail addresses, and passwords in addresses of servers
    r"|eyJ[\w-]+\.[\w.-]+"  # tokens
)
"""What an error's text may hold of people."""


def configure_logs(level: str) -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            without_people,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.getLogger("elastic_transport.transport").setLevel(logging.WARNING)


def without_people(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    return {name: PERSONAL.sub("***", value) if isinstance(value, str) else value for name, value in event.items()}
