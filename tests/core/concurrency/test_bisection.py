from collections.abc import Sequence

import pytest

from core.concurrency.bisection import process_with_bisection


class BadItemError(Exception):
    pass


class Processor:
    """Processes batches of numbers, of which those in `bad` fail their whole batch."""

    def __init__(self, *bad: int) -> None:
        self.bad = set(bad)
        self.batches: list[Sequence[int]] = []

    async def process(self, items: Sequence[int]) -> str:
        self.batches.append(items)
        if self.bad.intersection(items):
            raise BadItemError(str(self.bad))
        return f"processed {list(items)}"

    async def reject(self, item: int, error: Exception) -> str:
        assert isinstance(error, BadItemError)
        return f"rejected {item}"

    async def run(self, count: int) -> list[str]:
        return await process_with_bisection(range(count), self.process, self.reject, errors=(BadItemError,))


async def test_good_batch_is_processed_once() -> None:
    processor = Processor()
    assert await processor.run(4) == ["processed [0, 1, 2, 3]"]
    assert processor.batches == [range(4)]


async def test_bad_items_are_rejected_alone_and_in_order() -> None:
    results = await Processor(2, 5).run(8)
    assert results == [
        "processed [0, 1]",
        "rejected 2",
        "processed [3]",
        "processed [4]",
        "rejected 5",
        "processed [6, 7]",
    ]


async def test_one_bad_item_costs_logarithmically_many_batches() -> None:
    processor = Processor(700)
    await processor.run(1024)
    assert len(processor.batches) == 1 + 2 * 10


async def test_all_bad_items_are_rejected() -> None:
    assert await Processor(0, 1, 2).run(3) == ["rejected 0", "rejected 1", "rejected 2"]


async def test_other_errors_pass() -> None:
    async def fail(items: Sequence[int]) -> str:
        raise KeyError

    processor = Processor()
    with pytest.raises(KeyError):
        await process_with_bisection(range(4), fail, processor.reject, errors=(BadItemError,))
