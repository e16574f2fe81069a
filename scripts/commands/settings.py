"""Settings of commands that print a result."""

# ruff: noqa: PLC0415 -- imports inside the functions keep --help fast.

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.configuration.settings import Settings


def load_command_settings(log_level: str = "error") -> "Settings":
    """Load the settings, and log to standard error: errors only, unless the result does not say what was done."""
    from core.configuration.settings import load_settings

    settings = load_settings()
    keep_logs_apart(log_level)
    return settings


def keep_logs_apart(log_level: str = "error") -> None:
    """Log to standard error, since results go to standard output."""
    from core.logs.configuration import configure_logs

    configure_logs(log_level)
