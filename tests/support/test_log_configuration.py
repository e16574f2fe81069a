import logging
import sys

import structlog
from structlog.testing import capture_logs

from core.logs.configuration import configure_logs
from tests.support.log_configuration import HOOKS, LOGGERS, preserve_log_configuration


def test_configuration_is_restored_after_a_command() -> None:
    def state() -> list[object]:
        return [getattr(owner, name) for owner, name in HOOKS] + [logger.level for logger in LOGGERS]

    before, handlers = state(), list(logging.root.handlers)
    with preserve_log_configuration():
        configure_logs("error")
        assert state() != before
        assert sys.excepthook is not before[0]
    assert state() == before
    assert all(handler in handlers for handler in logging.root.handlers)


def test_warning_is_captured_after_a_command_that_logs_errors_only() -> None:
    with preserve_log_configuration():
        configure_logs("error")
    with capture_logs() as logs:
        structlog.get_logger().warning("captured")
    assert [entry["event"] for entry in logs] == ["captured"]
