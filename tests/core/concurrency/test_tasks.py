"""Tasks whose callers are cancelled end without a report of asyncio."""

import asyncio
import gc
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

import pytest

from app.backends.failover_client import FailoverHttpClient, NodeClient
from app.backends.http_client import NO_FIELDS, HttpResponse
from core.concurrency.tasks import cancel_and_wait, discard_exception, task_group


@pytest.fixture
async def reports() -> AsyncIterator[list[str]]:
    """What asyncio reports meanwhile: exceptions of tasks that nobody retrieved."""
    found: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: found.append(context["message"]))
    yield found
    loop.set_exception_handler(None)


async def fail() -> None:
    raise TimeoutError


async def end(task: asyncio.Task[Any]) -> None:
    await asyncio.wait([task])
    await asyncio.sleep(0)


@pytest.mark.parametrize("discards", [True, False])
async def test_exception_is_reported_unless_it_is_discarded(reports: list[str], discards: bool) -> None:
    task = asyncio.create_task(fail())
    if discards:
        task.add_done_callback(discard_exception)
    await end(task)
    del task
    gc.collect()
    assert reports == ([] if discards else ["Task exception was never retrieved"])


class SlowToEnd(NodeClient):
    """A client whose request ends with an error some time after it is cancelled."""

    async def post(self, target: str, body: bytes, fields: Mapping[str, str] = NO_FIELDS) -> HttpResponse:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            raise TimeoutError


async def test_error_of_a_request_whose_caller_is_cancelled_twice_is_not_reported(reports: list[str]) -> None:
    client = FailoverHttpClient([SlowToEnd("http://127.0.0.1:1", connections=1, seconds=60.0)], seconds=60.0)
    caller = asyncio.create_task(client.post("/", b""))
    for _ in range(3):
        await asyncio.sleep(0)
        caller.cancel()
    await end(caller)
    await asyncio.sleep(0)
    assert caller.cancelled()
    del caller
    gc.collect()
    assert reports == []


async def test_caller_that_is_cancelled_twice_waits_for_the_end_of_its_tasks() -> None:
    ends, ended = asyncio.Event(), asyncio.Event()

    async def end_late() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            while not ends.is_set():
                with suppress(asyncio.CancelledError):
                    await ends.wait()
            ended.set()

    task = asyncio.create_task(end_late())
    await asyncio.sleep(0)
    caller = asyncio.create_task(cancel_and_wait([task]))
    for _ in range(3):
        await asyncio.sleep(0)
        caller.cancel()
        await asyncio.sleep(0)
        assert not caller.done()
    ends.set()
    await end(caller)
    assert ended.is_set()
    assert caller.cancelled()


class Killed(BaseException):
    """An error that no task may handle."""


async def run_group(errors: list[BaseException]) -> None:
    """Run a group whose tasks fail with these errors while it waits for their end."""

    async def fail_with(error: BaseException) -> None:
        await asyncio.sleep(0)
        raise error

    async with task_group(OSError) as group:
        for error in errors:
            group.create_task(fail_with(error))


@pytest.mark.parametrize(
    ("errors", "raised"),
    [
        ([TimeoutError("first"), ConnectionError("second")], TimeoutError),
        ([TimeoutError("first"), ValueError("of another kind")], ExceptionGroup),
        ([ValueError("of another kind")], ExceptionGroup),
    ],
)
async def test_failures_of_one_kind_are_unwrapped(errors: list[BaseException], raised: type[Exception]) -> None:
    with pytest.raises(raised) as caught:
        await run_group(errors)
    assert caught.type is raised


@pytest.mark.parametrize("error", [TimeoutError(), ValueError(), Killed()], ids=repr)
async def test_failed_group_leaves_no_request_to_cancel_its_caller(error: BaseException) -> None:
    with pytest.raises((type(error), BaseExceptionGroup)):
        await run_group([error])
    task = asyncio.current_task()
    assert task
    assert task.cancelling() == 0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.Event().wait()
