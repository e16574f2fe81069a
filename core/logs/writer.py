"""Write log lines in a thread of their own, so that a full disk or a pipe that nobody reads stops nothing else."""

import os
import signal
import threading
import time
from multiprocessing.util import Finalize
from queue import SimpleQueue
from select import select
from types import FrameType

from prometheus_client import Counter

import core.metrics.files  # noqa: F401  # before the first metric

MAX_QUEUED_LINES = 2000
MAX_LINE_CHARACTERS = 20_000
"""With `MAX_QUEUED_LINES`, the bound of the memory that waiting lines take: 40 MB."""

FLUSH_SECONDS = 1.0
"""Longest delay of a process's end by lines that wait to be written."""

WRITABLE_POLL_SECONDS = 0.1

DROPPED_LINES = Counter("smarttrip_log_lines_dropped_total", "Log lines that could not be written")


class LogWriter:
    """A bounded queue of lines, and a daemon thread that writes them to a file descriptor.

    A line is dropped, and counted, if the queue is full or the write fails.
    """

    def __init__(self, descriptor: int | None) -> None:
        """`descriptor` is None where the process has no standard error: every line is dropped."""
        self._descriptor = descriptor
        # Its `put` may be called again while it runs, as a signal handler or a finaliser that logs does.
        self._lines: SimpleQueue[bytes] = SimpleQueue()
        self._written = self._queued = 0
        self._dropped = 0
        """Lines dropped since `report_dropped`: a plain number, as a finaliser may log while a metric is locked."""
        self._line_is_torn = False
        threading.Thread(target=self._write_forever, name="log-writer", daemon=True).start()

    def write(self, line: str) -> None:
        """Queue a line without its line break; never wait or raise."""
        if self._descriptor is None or self._lines.qsize() >= MAX_QUEUED_LINES:
            self._dropped += 1
            return
        self._queued += 1
        self._lines.put(line.encode(errors="backslashreplace") + b"\n")

    def flush(self, seconds: float = FLUSH_SECONDS) -> bool:
        """Wait until all lines are written or dropped, for at most `seconds`; return whether they are."""
        deadline = time.monotonic() + seconds
        while self._written < self._queued:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def report_dropped(self) -> None:
        """Add the lines dropped since the last call to the metric."""
        dropped, self._dropped = self._dropped, 0
        if dropped:
            DROPPED_LINES.inc(dropped)

    def _write_forever(self) -> None:
        while True:
            line = self._lines.get()
            try:
                self._write(line)
            except OSError:
                self._dropped += 1
            self._written += 1

    def _write(self, line: bytes) -> None:
        assert self._descriptor is not None
        # After a write that a full disk cut short, a line starts on a line of its own.
        rest = memoryview(b"\n" + line if self._line_is_torn else line)
        while rest:
            try:
                count = os.write(self._descriptor, rest)
            except BlockingIOError:
                select([], [self._descriptor], [], WRITABLE_POLL_SECONDS)
                continue
            rest = rest[count:]
            self._line_is_torn = bool(rest)


_writers: list[LogWriter] = []


def log_writer(descriptor: int | None) -> LogWriter:
    """Return the writer of this process, created at the first call; the end of the process flushes it."""
    if not _writers:
        _writers.append(LogWriter(descriptor))
        # Unlike atexit, also at the end of a process that multiprocessing started.
        Finalize(None, _writers[0].flush, exitpriority=0)
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _end_after_flush)
    return _writers[0]


def _end_after_flush(number: int, frame: FrameType | None) -> None:
    """End as the default handler does. uvicorn raises SIGTERM again when it has shut down."""
    for writer in _writers:
        writer.flush()
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def report_dropped_lines() -> None:
    """Update the metric of dropped lines."""
    for writer in _writers:
        writer.report_dropped()
