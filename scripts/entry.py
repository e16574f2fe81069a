"""Entry point of `smarttrip`: Ctrl-C ends it with a line from the first moment, while its packages are imported."""

import os
import signal
from contextlib import suppress
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130
"""As `ExitCode.INTERRUPTED`, which may not be imported yet."""


def main() -> None:
    signal.signal(signal.SIGINT, _end)
    # `scripts/demo` blocks it while the interpreter starts, which would print a traceback.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))
    from scripts.cli import main as run_command  # noqa: PLC0415 -- the handler comes first.

    run_command()


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """End the process: nothing was started yet, or everything has been stopped."""
    with suppress(OSError):
        os.write(2, b"Interrupted.\n")
    os._exit(INTERRUPTED)
