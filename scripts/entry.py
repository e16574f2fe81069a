"""Entry point of `smarttrip` and of our other programs: Ctrl-C ends them with a line while they are still imported."""

import os
import runpy
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130
"""As `ExitCode.INTERRUPTED`, which may not be imported yet."""


def main() -> None:
    """Run `smarttrip`."""
    _handle_ctrl_c()
    from scripts.cli import main as run_command  # noqa: PLC0415 -- the handler comes first.

    run_command()


def run_module() -> None:
    """Run the module that the first argument names with the arguments after it, as `python -m` does."""
    _handle_ctrl_c()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _handle_ctrl_c() -> None:
    signal.signal(signal.SIGINT, _end)
    # `scripts/demo` and `scripts/test` block it while the interpreter starts, which would print a traceback.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """End the process: nothing was started yet, or everything has been stopped."""
    with suppress(OSError):
        os.write(2, b"Interrupted.\n")
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    run_module()
