"""Reads of the same moment share a statement; what one of them causes concerns no other."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from app.backends.labels import DATABASE_LABEL
from app.backends.shared_reads import SharedReads
from core.errors import BackendUnavailableError
from core.request_record import record_var

ROWS = {1: b"one", 2: b"two", 3: b"three"}
BROKEN = 13
"""Id of a row that the statement fails for."""


class Rows:
    """Records what is read."""

    def __init__(self) -> None:
        self.read: list[Sequence[int]] = []
        self.is_down = False


async def fetch(rows: Rows, ids: Sequence[int]) -> Mapping[int, bytes]:
    rows.read.append(ids)
    if rows.is_down:
        raise BackendUnavailableError(DATABASE_LABEL)
    await asyncio.sleep(0.01)
    if BROKEN in ids:
        raise ValueError("broken")
    return {row_id: ROWS[row_id] for row_id in ids if row_id in ROWS}


async def ask(reads: SharedReads[Rows], *ids: int) -> list[bytes | BaseException | None]:
    return await asyncio.gather(*(reads.get(fetch, row_id) for row_id in ids), return_exceptions=True)


async def test_reads_of_the_same_moment_share_a_statement() -> None:
    rows = Rows()
    reads = SharedReads(rows)
    assert await ask(reads, 1, 9, 2) == [b"one", None, b"two"]
    assert rows.read == [[1, 9, 2]]
    await reads.close()


async def test_reads_during_another_share_the_next_one() -> None:
    rows = Rows()
    reads = SharedReads(rows)
    first = asyncio.create_task(reads.get(fetch, 1))
    await asyncio.sleep(0.005)
    assert await ask(reads, 2, 3) == [b"two", b"three"]
    assert (await first, rows.read) == (b"one", [[1], [2, 3]])


async def test_row_that_fails_concerns_its_own_request_only() -> None:
    rows = Rows()
    found = await ask(SharedReads(rows), 1, BROKEN, 2)
    assert (found[0], found[2]) == (b"one", b"two")
    assert isinstance(found[1], ValueError)
    assert rows.read == [[1, BROKEN, 2], [1], [BROKEN], [2]]


async def test_row_that_fails_concerns_no_request_that_arrives_meanwhile() -> None:
    reads = SharedReads(Rows())
    failing = asyncio.create_task(reads.get(fetch, BROKEN))
    await asyncio.sleep(0.005)
    assert await ask(reads, 2, 3) == [b"two", b"three"]
    with pytest.raises(ValueError, match="broken"):
        await failing


async def test_outage_concerns_all_and_is_met_once() -> None:
    rows = Rows()
    rows.is_down = True
    for failure in await ask(SharedReads(rows), 1, 2):
        assert isinstance(failure, BackendUnavailableError)
    assert rows.read == [[1, 2]]


async def test_what_is_shared_counts_for_no_single_request() -> None:
    seen = []

    async def look(_rows: Rows, ids: Sequence[int]) -> Mapping[int, bytes]:
        seen.append(record_var.get())
        return {}

    own = record_var.get()
    assert await SharedReads(Rows()).get(look, 1) is None
    assert seen[0] is not None
    assert record_var.get() is own


async def test_cancelled_request_does_not_affect_others() -> None:
    reads = SharedReads(Rows())
    cancelled, other = (asyncio.create_task(reads.get(fetch, row_id)) for row_id in (1, 2))
    await asyncio.sleep(0)
    cancelled.cancel()
    assert await other == b"two"
    with pytest.raises(asyncio.CancelledError):
        await cancelled
