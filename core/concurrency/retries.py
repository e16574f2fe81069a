"""Retries with exponential backoff, over tenacity."""

from collections.abc import Callable

from tenacity import (
    AsyncRetrying,
    AttemptManager,
    RetryCallState,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
)


def exponential_backoff(first: float, longest: float) -> wait_exponential:
    """Return the wait policy `first`, 2 * `first`, 4 * `first`, ... up to `longest` seconds."""
    return wait_exponential(multiplier=first, max=longest)


def backoff_seconds(failures: int, *, first: float, longest: float) -> float:
    """Return the pause of `exponential_backoff` after so many failures in a row, for loops that do more than retry."""
    state = RetryCallState(AsyncRetrying(), None, (), {})
    state.attempt_number = failures
    return exponential_backoff(first, longest)(state)


def retry_forever(
    errors: tuple[type[Exception], ...],
    *,
    first: float,
    longest: float,
    on_failure: Callable[[BaseException, float], None],
) -> AsyncRetrying:
    """Return a retry policy for work that must go on over outages of any length.

    Await it with a coroutine function and its arguments, or iterate over its attempts. `errors` are retried, other
    exceptions pass. `on_failure` gets each error and the seconds until the next attempt.
    """

    def report(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if error is not None:
            on_failure(error, state.upcoming_sleep)

    return AsyncRetrying(
        retry=retry_if_exception_type(errors), wait=exponential_backoff(first, longest), before_sleep=report
    )


def _never(error: BaseException) -> bool:
    return False


def retry_times(
    attempts: int,
    errors: tuple[type[Exception], ...],
    *,
    first: float,
    longest: float,
    unless: Callable[[BaseException], bool] = _never,
) -> AsyncRetrying:
    """Return a retry policy for work that is tried a few times; the error of the last attempt is raised.

    It is used as that of `retry_forever`. `unless` returns whether another attempt would be in vain after an error.
    """
    return AsyncRetrying(
        retry=retry_if_exception(lambda error: isinstance(error, errors) and not unless(error)),
        wait=exponential_backoff(first, longest),
        stop=stop_after_attempt(attempts),
        reraise=True,
    )


def restart_backoff(attempt: AttemptManager) -> None:
    """Count later failures of this attempt as the first: for attempts that last as long as a connection works."""
    attempt.retry_state.attempt_number = 1
