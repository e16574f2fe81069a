"""Circuit breaker: fail at once while a backend is down, instead of letting each request wait for a timeout."""

from enum import IntEnum
from time import monotonic
from types import TracebackType
from typing import Literal, get_args

import structlog
from prometheus_client import Gauge

from core.errors import BackendError, BackendUnavailableError, ExpectedError
from core.metrics.labels import with_values
from schemas.messages.message import Message

log = structlog.get_logger()

Dependency = Literal["postgres", "redis", "elasticsearch", "evaluation"]
"""What a circuit breaker protects; `evaluation` is Elasticsearch as evaluations find it."""

STATE_GAUGE = with_values(
    Gauge("smarttrip_breaker_state", "0 closed, 1 half-open, 2 open", ["dependency"], multiprocess_mode="livemax"),
    get_args(Dependency),
)


class CircuitState(IntEnum):
    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


def reason_of(error: BackendError) -> str:
    return error.reason if isinstance(error, BackendUnavailableError) else error.code


class CircuitBreaker:
    """Opens after `failures` in a row; after `open_seconds` one caller at a time probes whether the backend works.

    Use it as `with breaker:` around a call; blocks may overlap. A context manager from a generator takes four times as
    long.
    """

    def __init__(self, dependency: Dependency, label: Message, *, failures: int = 5, open_seconds: float = 1.0) -> None:
        """`dependency` names the backend in metrics and logs, `label` in messages for clients."""
        self.state = CircuitState.CLOSED
        self._dependency = dependency
        self._label = label
        self._max_failures = failures
        self._open_seconds = open_seconds
        self._failures = 0
        self._opened_at = 0.0
        self.last_failure = ""
        """Why the last call that failed did so."""
        self._gauge = STATE_GAUGE.labels(dependency)
        self._gauge.set(CircuitState.CLOSED)

    def __enter__(self) -> None:
        """Admit the call. Raises: BackendUnavailableError, while the circuit is open."""
        if self.state is not CircuitState.CLOSED:
            self._admit_probe()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Count a BackendError as a failure, if it is an outage."""
        if isinstance(error, BackendError):
            self._record_error(error)
        elif error is None or isinstance(error, ExpectedError):
            # An error such as "not found" is a result: the backend did respond.
            self._record_success()
        else:
            # Such as a cancellation or a bug.
            self._leave_undecided()

    def trip(self) -> None:
        """Open at once: the backend is known to be down, so nobody else has to wait for it."""
        self._failures = self._max_failures
        self._opened_at = monotonic()
        self._set_state(CircuitState.OPEN)

    def _admit_probe(self) -> None:
        if self.state is CircuitState.HALF_OPEN or monotonic() - self._opened_at < self._open_seconds:
            raise BackendUnavailableError(self._label, reason=f"circuit breaker open: {self.last_failure}")
        self._set_state(CircuitState.HALF_OPEN)

    def _record_error(self, error: BackendError) -> None:
        if error.is_outage:
            self.last_failure = reason_of(error)
            self._record_failure()
        elif error.is_outage is None:
            self._leave_undecided()
        else:
            self._record_success()

    def _leave_undecided(self) -> None:
        """Let the next caller probe the backend: this one's call says nothing about it."""
        if self.state is CircuitState.HALF_OPEN:
            self._set_state(CircuitState.OPEN)

    def _record_success(self) -> None:
        self._failures = 0
        self._set_state(CircuitState.CLOSED)

    def _record_failure(self) -> None:
        self._failures += 1
        if self.state is CircuitState.HALF_OPEN or self._failures >= self._max_failures:
            self._opened_at = monotonic()
            self._set_state(CircuitState.OPEN)

    def _set_state(self, state: CircuitState) -> None:
        if state is not self.state:
            log.warning("breaker", dependency=self._dependency, state=state.name.lower())
            self.state = state
            self._gauge.set(state)
