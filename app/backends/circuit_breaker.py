"""Spares a server that fails, and callers the wait for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from time import monotonic

import structlog
from prometheus_client import Gauge

from app.http.errors import ApiError, unavailable

log = structlog.get_logger()

STATE = Gauge("smarttrip_breaker_state", "0 closed, 1 half-open, 2 open", ["dependency"], multiprocess_mode="livemax")


class State(IntEnum):
    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Breaker:
    """Opens after `failures` in a row; after `open_seconds` one caller at a time tries whether it works again."""

    def __init__(self, dependency: str, called: str, *, failures: int = 5, open_seconds: float = 1.0) -> None:
        """`dependency` is its name in figures and logs, `called` what people read."""
        self.state = State.CLOSED
        self._dependency = dependency
        self._called = called
        self._limit = failures
        self._open_seconds = open_seconds
        self._failures = 0
        self._opened_at = 0.0
        self._gauge = STATE.labels(dependency)
        self._gauge.set(State.CLOSED)

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Raises 503 as ApiError while it is open; a 503 from the block is a failure of the dependency."""
        self._admit()
        try:
            yield
        except ApiError as error:
            self._failed() if error.status == 503 else self._worked()
            raise
        except BaseException:
            # Cancelled, or a bug of ours: says nothing of the dependency, and the next caller may probe it.
            if self.state is State.HALF_OPEN:
                self._move(State.OPEN)
            raise
        self._worked()

    def _admit(self) -> None:
        if self.state is State.CLOSED:
            return
        if self.state is State.HALF_OPEN or monotonic() - self._opened_at < self._open_seconds:
            raise unavailable(self._called)
        self._move(State.HALF_OPEN)

    def _worked(self) -> None:
        self._failures = 0
        if self.state is not State.CLOSED:
            self._move(State.CLOSED)

    def _failed(self) -> None:
        self._failures += 1
        if self.state is State.HALF_OPEN or self._failures >= self._limit:
            self._opened_at = monotonic()
            self._move(State.OPEN)

    def _move(self, state: State) -> None:
        if state is not self.state:
            log.warning("breaker", dependency=self._dependency, state=state.name.lower())
            self.state = state
            self._gauge.set(state)
