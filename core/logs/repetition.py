"""Bound what errors that repeat write to the log: one line a minute for each kind, and then how many there were."""

import sys
import threading
from collections import Counter
from collections.abc import Callable
from multiprocessing.util import Finalize
from types import TracebackType
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

WINDOW_SECONDS = 60.0
MAX_KINDS = 20
"""Different lines of one event in a window; further ones count as one kind."""
MAX_EVENTS = 100
"""Different events in a window, of which libraries have their messages; further ones count as one."""

OTHERS = "others"
REPEATED = "line_repeated"
LIMITED_METHODS = ("warning", "error", "critical")
PER_REQUEST = ("request_id", "path")
"""Values that differ from request to request, although the line says the same."""

LIBRARIES = "site-packages"
"""Part of the paths of files that are not the project's."""

Kind = tuple[str, ...]


class RepetitionLimit:
    """Admits the first line of each kind in a window, and reports at its end how many were left out."""

    def __init__(self, report: Callable[[Kind, int], None]) -> None:
        self._report = report
        # A finaliser may log while a line is counted.
        self._lock = threading.RLock()
        self._seen: Counter[Kind] = Counter()
        self._kinds: Counter[str] = Counter()
        self._timer: threading.Timer | None = None

    def admits(self, kind: Kind) -> bool:
        with self._lock:
            kind = self._bounded(kind)
            self._seen[kind] += 1
            if self._timer is None:
                self._timer = threading.Timer(WINDOW_SECONDS, self.end_window)
                self._timer.daemon = True
                self._timer.start()
            return self._seen[kind] == 1

    def end_window(self) -> None:
        """Report what was left out, and begin anew."""
        with self._lock:
            seen, self._seen, self._kinds = self._seen, Counter(), Counter()
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        for kind, count in seen.items():
            if count > 1:
                self._report(kind, count - 1)

    def _bounded(self, kind: Kind) -> Kind:
        if kind in self._seen:
            return kind
        event = kind[0]
        if event not in self._kinds and len(self._kinds) >= MAX_EVENTS:
            return (OTHERS,)
        if self._kinds[event] >= MAX_KINDS:
            return (event, OTHERS)
        self._kinds[event] += 1
        return kind


def _log_count(kind: Kind, count: int) -> None:
    event, *details = kind
    structlog.get_logger().warning("line_repeated", line=event, details=details, count=count)


LIMIT = RepetitionLimit(_log_count)
# The higher priority runs first: the thread that writes lines ends with a priority of 0.
Finalize(None, LIMIT.end_window, exitpriority=1)


def limit_repetition(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Drop a warning or an error that is of the kind of an earlier one of this minute."""
    if method in LIMITED_METHODS and event["event"] != REPEATED and not LIMIT.admits(_kind(event)):
        raise structlog.DropEvent
    return event


def _kind(event: EventDict) -> Kind:
    """Return the event with the type and the place of its exception, or with its values if it has none."""
    name = str(event["event"])
    if (error := _exception(event.get("exc_info"))) is not None:
        return (name, type(error).__name__, _place(error.__traceback__))
    return (name, *(f"{key}={value}"[:200] for key, value in event.items() if key not in ("event", *PER_REQUEST)))


def _exception(exc_info: Any) -> BaseException | None:
    match exc_info:
        case BaseException():
            return exc_info
        case (_, BaseException() as error, _):
            return error
        case None | False | ():
            return None
        case _:
            return sys.exc_info()[1]


def _place(trace: TracebackType | None) -> str:
    """Return file and line of the project's own code that the exception passed last.

    All errors of a server are raised in the same lines of its client.
    """
    place = ""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not place or LIBRARIES not in file:
            place = f"{file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
