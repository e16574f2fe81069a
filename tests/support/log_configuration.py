"""Configuration of logs, restored after commands that a test has run in its own process."""

import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog

from core.logs.configuration import OWN_LOGGERS, LibraryHandler

HOOKS = (
    (sys, "excepthook"),
    (sys, "unraisablehook"),
    (threading, "excepthook"),
    (warnings, "showwarning"),
    (logging, "raiseExceptions"),
)
"""Attributes that `configure_logs` replaces, besides levels, handlers and structlog's configuration."""
LOGGERS = (logging.root, *map(logging.getLogger, OWN_LOGGERS))


@contextmanager
def preserve_log_configuration() -> Iterator[None]:
    """Restore at the end what `configure_logs` replaces, so that no test sees the level that another one chose."""
    events = structlog.get_config()
    levels = [logger.level for logger in LOGGERS]
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in HOOKS:
            patch.setattr(owner, name, getattr(owner, name))
        yield
    structlog.configure(**events)
    for logger, level in zip(LOGGERS, levels, strict=True):
        logger.setLevel(level)
    for handler in [handler for handler in logging.root.handlers if isinstance(handler, LibraryHandler)]:
        logging.root.removeHandler(handler)
