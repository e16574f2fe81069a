"""Spares a server that fails, and callers the wait for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from time import monotonic

import structlog
from prometheus_client import Gauge

from core.errors import BackendError, BackendUnavailableError, ExpectedError

log = structlog.get_logger()

STATE_GAUGE = Gauge(
    "smarttrip_breaker_state", "0 closed, 1 half-open, 2 open", ["dependency"], multiprocess_mode="livemax"
)


class CircuitState(IntEnum):
    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class CircuitBreaker:
    """Opens after `failures` in a row; after `open_seconds` one caller at a time tries whether it works again."""

    def __init__(self, dependency: str, called: str, *, failures: int = 5, open_seconds: float = 1.0) -> None:
        """`dependency` is its name in figures and logs, `called` what people read."""
        self.state = CircuitState.CLOSED
        self._dependency = dependency
        self._called = called
        self._limit = failures
        self._open_seconds = open_seconds
        self._failures = 0
        self._opened_at = 0.0
        self._gauge = STATE_GAUGE.labels(dependency)
        self._gauge.set(CircuitState.CLOSED)

    @contextmanager
    def protect(self) -> Iterator[None]:
        """Raise BackendUnavailableError while open; a BackendError from the block counts as a failure."""
        self._check_open()
        try:
            yield
        except BackendError:
            self._record_failure()
            raise
        except ExpectedError:
            self._record_success()
            raise
        except BaseException:
            # Cancelled, or a bug of ours: says nothing of the dependency, and the next caller may probe it.
            if self.state is CircuitState.HALF_OPEN:
                self._set_state(CircuitState.OPEN)
            raise
        self._record_success()

    def _check_open(self) -> None:
        if self.state is CircuitState.CLOSED:
            return
        if self.state is CircuitState.HALF_OPEN or monotonic() - self._opened_at < self._open_seconds:
            raise BackendUnavailableError(self._called)
        self._set_state(CircuitState.HALF_OPEN)

    def _record_success(self) -> None:
        self._failures = 0
        if self.state is not CircuitState.CLOSED:
            self._set_state(CircuitState.CLOSED)

    def _record_failure(self) -> None:
        self._failures += 1
        if self.state is CircuitState.HALF_OPEN or self._failures >= self._limit:
            self._opened_at = monotonic()
            self._set_state(CircuitState.OPEN)

    def _set_state(self, state: CircuitState) -> None:
        if state is not self.state:
            log.warning("breaker", dependency=self._dependency, state=state.name.lower())
            self.state = state
            self._gauge.set(state)
