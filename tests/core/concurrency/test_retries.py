import asyncio
from collections.abc import Iterator

import pytest

from core.concurrency.retries import restart_backoff, retry_forever, retry_times

FIRST, LONGEST = 0.001, 0.004


class Reports(list[tuple[str, float]]):
    def __call__(self, error: BaseException, retry_after: float) -> None:
        self.append((str(error), retry_after))


@pytest.fixture
def reports() -> Reports:
    return Reports()


async def raise_next(results: Iterator[Exception | None]) -> None:
    if error := next(results):
        raise error


async def test_failures_are_retried_with_growing_pauses(reports: Reports) -> None:
    results = iter([OSError("a"), OSError("b"), OSError("c"), OSError("d"), None])
    await retry_forever((OSError,), first=FIRST, longest=LONGEST, on_failure=reports)(raise_next, results)
    assert reports == [("a", 0.001), ("b", 0.002), ("c", 0.004), ("d", 0.004)]


async def test_other_errors_are_not_retried(reports: Reports) -> None:
    async def fail() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        await retry_forever((OSError,), first=FIRST, longest=LONGEST, on_failure=reports)(fail)
    assert reports == []


async def test_backoff_starts_again_with_each_call(reports: Reports) -> None:
    retrying = retry_forever((OSError,), first=FIRST, longest=LONGEST, on_failure=reports)
    for _ in range(2):
        results = iter([OSError("a"), OSError("b"), None])

        await retrying(raise_next, results)
    assert [pause for _, pause in reports] == [0.001, 0.002, 0.001, 0.002]


async def test_restarted_backoff_is_short_again(reports: Reports) -> None:
    tried = 0
    async for attempt in retry_forever((OSError,), first=FIRST, longest=LONGEST, on_failure=reports):
        with attempt:
            tried += 1
            if tried == 3:
                restart_backoff(attempt)
            if tried < 5:
                raise OSError(str(tried))
    assert [pause for _, pause in reports] == [0.001, 0.002, 0.001, 0.002]


async def test_last_error_is_raised_after_all_attempts() -> None:
    results = iter([OSError("a"), OSError("b"), OSError("c"), None])
    with pytest.raises(OSError, match="c"):
        await retry_times(3, (OSError,), first=FIRST, longest=LONGEST)(raise_next, results)
    assert list(results) == [None]


async def test_cancellation_ends_it(reports: Reports) -> None:
    async def fail() -> None:
        raise OSError

    task: asyncio.Task[None] = asyncio.create_task(
        retry_forever((OSError,), first=60, longest=60, on_failure=reports)(fail)
    )
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(reports) == 1
