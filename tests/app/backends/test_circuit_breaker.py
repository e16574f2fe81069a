import pytest

from app.backends.circuit_breaker import CircuitBreaker, CircuitState
from app.backends.labels import DATABASE_LABEL
from app.http.errors import not_found
from core.errors import BackendUnavailableError, ExpectedError


@pytest.fixture
def breaker() -> CircuitBreaker:
    return CircuitBreaker("redis", DATABASE_LABEL, failures=3, open_seconds=10)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Its one entry is what the monotonic clock shows."""
    now = [1000.0]
    monkeypatch.setattr("app.backends.circuit_breaker.monotonic", lambda: now[0])
    return now


def fail(breaker: CircuitBreaker) -> None:
    with pytest.raises(BackendUnavailableError), breaker:
        raise BackendUnavailableError(DATABASE_LABEL)


def work(breaker: CircuitBreaker) -> None:
    with breaker:
        pass


def open_it(breaker: CircuitBreaker) -> None:
    for _ in range(3):
        fail(breaker)
    assert breaker.state is CircuitState.OPEN


def test_consecutive_failures_open_the_circuit(breaker: CircuitBreaker) -> None:
    fail(breaker)
    fail(breaker)
    work(breaker)
    fail(breaker)
    fail(breaker)
    work(breaker)
    open_it(breaker)


def test_open_circuit_blocks_calls(breaker: CircuitBreaker) -> None:
    open_it(breaker)
    with pytest.raises(BackendUnavailableError, match=str(DATABASE_LABEL)), breaker:
        pytest.fail("it was tried")


def test_success_after_the_pause_closes_the_circuit(breaker: CircuitBreaker, clock: list[float]) -> None:
    open_it(breaker)
    clock[0] += 10
    work(breaker)
    assert breaker.state is CircuitState.CLOSED


def test_failed_probe_opens_the_circuit_again(breaker: CircuitBreaker, clock: list[float]) -> None:
    open_it(breaker)
    clock[0] += 10
    fail(breaker)
    assert breaker.state is CircuitState.OPEN
    clock[0] += 9
    with pytest.raises(BackendUnavailableError), breaker:
        pytest.fail("it was tried")


def test_one_caller_at_a_time_probes(breaker: CircuitBreaker, clock: list[float]) -> None:
    open_it(breaker)
    clock[0] += 10
    with breaker, pytest.raises(BackendUnavailableError), breaker:
        pytest.fail("it was tried twice")
    assert breaker.state is CircuitState.CLOSED


def test_cancelled_probe_lets_the_next_caller_probe(breaker: CircuitBreaker, clock: list[float]) -> None:
    open_it(breaker)
    clock[0] += 10
    with pytest.raises(KeyboardInterrupt), breaker:
        raise KeyboardInterrupt
    work(breaker)
    assert breaker.state is CircuitState.CLOSED


def test_other_expected_errors_count_as_success(breaker: CircuitBreaker) -> None:
    for _ in range(5):
        with pytest.raises(ExpectedError), breaker:
            raise not_found("Template")
    assert breaker.state is CircuitState.CLOSED


def test_open_circuit_says_why_it_opened(breaker: CircuitBreaker, clock: list[float]) -> None:
    for _ in range(3):
        with pytest.raises(BackendUnavailableError), breaker:
            raise BackendUnavailableError(DATABASE_LABEL, reason="status 503")
    with pytest.raises(BackendUnavailableError) as refused:
        work(breaker)
    assert refused.value.reason == "circuit breaker open: status 503"


def test_reason_without_words_is_the_type_of_the_cause(breaker: CircuitBreaker) -> None:
    with pytest.raises(BackendUnavailableError) as failed, breaker:
        raise BackendUnavailableError(DATABASE_LABEL) from ConnectionResetError("dana@example.org")
    assert failed.value.reason == breaker.last_failure == "ConnectionResetError"
