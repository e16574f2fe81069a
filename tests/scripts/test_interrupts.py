import asyncio
import signal
import weakref
from collections.abc import Callable, Iterator

import pytest
import uvloop

from scripts.interrupts import announced_interrupts, run_cancellable

LINE = "Interrupted; stopping what was started ...\n"


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    previous = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, previous)


class Collected:
    """An object whose finalizer presses Ctrl-C, where Python drops exceptions."""


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_interrupt_where_exceptions_are_dropped_ends_the_coroutine(
    new_loop: Callable[[], asyncio.AbstractEventLoop], capsys: pytest.CaptureFixture[str]
) -> None:
    steps = []

    async def main() -> None:
        collected = Collected()
        weakref.finalize(collected, signal.raise_signal, signal.SIGINT)
        del collected
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            steps.append("closed")

    with pytest.raises(KeyboardInterrupt), announced_interrupts():
        run_cancellable(main(), new_loop)
    assert (steps, capsys.readouterr().err) == (["closed"], LINE)


def test_second_interrupt_does_not_disturb_the_end() -> None:
    steps = []

    async def main() -> None:
        signal.raise_signal(signal.SIGINT)
        try:
            await asyncio.sleep(60)
        finally:
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(0)
            steps.append("closed")

    with announced_interrupts():
        with pytest.raises(KeyboardInterrupt):
            run_cancellable(main())
        signal.raise_signal(signal.SIGINT)
    assert steps == ["closed"]


def test_interrupt_that_a_coroutine_suppresses_is_raised_after_it() -> None:
    async def main() -> None:
        signal.raise_signal(signal.SIGINT)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return

    with pytest.raises(KeyboardInterrupt), announced_interrupts():
        run_cancellable(main())


def test_result_is_returned_and_the_handler_is_put_back() -> None:
    async def main() -> int:
        return 7

    with announced_interrupts():
        before = signal.getsignal(signal.SIGINT)
        assert run_cancellable(main()) == 7
        assert signal.getsignal(signal.SIGINT) is before


async def test_coroutine_runs_in_another_thread() -> None:
    async def main() -> int:
        return 7

    assert await asyncio.to_thread(lambda: run_cancellable(main())) == 7
