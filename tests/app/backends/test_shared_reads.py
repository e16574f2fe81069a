"""Reads of the same moment share a session; what one of them causes concerns no other."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import cast

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.backends.labels import DATABASE_LABEL
from app.backends.shared_reads import SharedReads
from core.errors import BackendUnavailableError
from core.request_record import record_var

ROWS = {1: b"one", 2: b"two", 3: b"three"}
BROKEN = 13
"""Id of a row that the statement fails for."""


class Opened:
    """Counts sessions and what is read in them."""

    def __init__(self) -> None:
        self.sessions = 0
        self.read: list[Sequence[int]] = []
        self.is_down = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncSession]:
        self.sessions += 1
        if self.is_down:
            raise BackendUnavailableError(DATABASE_LABEL)
        yield cast(AsyncSession, self)


async def fetch(session: Opened, ids: Sequence[int]) -> Mapping[int, bytes]:
    session.read.append(ids)
    await asyncio.sleep(0.01)
    if BROKEN in ids:
        raise ValueError("broken")
    return {row_id: ROWS[row_id] for row_id in ids if row_id in ROWS}


async def ask(reads: SharedReads, *ids: int) -> list[bytes | BaseException | None]:
    return await asyncio.gather(*(reads.get(fetch, row_id) for row_id in ids), return_exceptions=True)


async def test_reads_of_the_same_moment_share_a_session() -> None:
    opened = Opened()
    reads = SharedReads(opened.open)
    assert await ask(reads, 1, 9, 2) == [b"one", None, b"two"]
    assert (opened.sessions, opened.read) == (1, [[1, 9, 2]])
    await reads.close()


async def test_reads_during_another_share_the_next_one() -> None:
    opened = Opened()
    reads = SharedReads(opened.open)
    first = asyncio.create_task(reads.get(fetch, 1))
    await asyncio.sleep(0.005)
    assert await ask(reads, 2, 3) == [b"two", b"three"]
    assert (await first, opened.read) == (b"one", [[1], [2, 3]])


async def test_row_that_fails_concerns_its_own_request_only() -> None:
    opened = Opened()
    found = await ask(SharedReads(opened.open), 1, BROKEN, 2)
    assert (found[0], found[2]) == (b"one", b"two")
    assert isinstance(found[1], ValueError)
    assert opened.read == [[1, BROKEN, 2], [1], [BROKEN], [2]]


async def test_row_that_fails_concerns_no_request_that_arrives_meanwhile() -> None:
    reads = SharedReads(Opened().open)
    failing = asyncio.create_task(reads.get(fetch, BROKEN))
    await asyncio.sleep(0.005)
    assert await ask(reads, 2, 3) == [b"two", b"three"]
    with pytest.raises(ValueError, match="broken"):
        await failing


async def test_outage_concerns_all_and_is_met_once() -> None:
    opened = Opened()
    opened.is_down = True
    for failure in await ask(SharedReads(opened.open), 1, 2):
        assert isinstance(failure, BackendUnavailableError)
    assert opened.sessions == 1


async def test_what_is_shared_counts_for_no_single_request() -> None:
    opened, seen = Opened(), []

    async def look(_session: AsyncSession, ids: Sequence[int]) -> Mapping[int, bytes]:
        seen.append(record_var.get())
        return {}

    own = record_var.get()
    assert await SharedReads(opened.open).get(look, 1) is None
    assert seen[0] is not None
    assert record_var.get() is own


async def test_cancelled_request_does_not_affect_others() -> None:
    reads = SharedReads(Opened().open)
    cancelled, other = (asyncio.create_task(reads.get(fetch, row_id)) for row_id in (1, 2))
    await asyncio.sleep(0)
    cancelled.cancel()
    assert await other == b"two"
    with pytest.raises(asyncio.CancelledError):
        await cancelled
