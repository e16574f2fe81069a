"""Standard streams: closed ones, and output that cannot be written."""

import io
import os
import sys
from contextlib import suppress


class StandardOutput(io.TextIOWrapper):
    """Standard output that keeps the error of a write: commands fail with errors of files and sockets, too."""

    failure: OSError | None = None

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self.failure = error
            raise

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self.failure = error
            raise


def open_standard_streams() -> None:
    """Open the null device in place of standard streams that are closed, and write each line at once.

    Without it sockets get the numbers of closed streams, libuv aborts the process when it closes one of these, and
    what is printed to a closed standard error goes to standard output.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number, which is this one.
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, "w" if descriptor else "r", closefd=False))
    output = sys.stdout
    # Not where a test has replaced it.
    if output is sys.__stdout__ and isinstance(output, io.TextIOWrapper):
        # A reader of a pipe or a log sees each step as soon as it is done.
        sys.stdout = StandardOutput(output.buffer, output.encoding, "backslashreplace", line_buffering=True)


def output_error() -> OSError | None:
    """Return why something could not be written to standard output, or None."""
    with suppress(OSError):
        sys.stdout.flush()
    return sys.stdout.failure if isinstance(sys.stdout, StandardOutput) else None


def print_error(sentence: str) -> None:
    """Print a line to standard error, if it can be written."""
    with suppress(OSError):
        print(sentence, file=sys.stderr)


def drop_unwritten() -> None:
    """Send what could not be written to the null device: at its end the interpreter would try again, and complain."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
