"""What is written in one turn of the loop leaves together, in order, and nothing is left behind."""

import asyncio
from typing import Any, cast

from app.server.coalescing_transport import CoalescingTransport


class Noting:
    """A transport that notes what leaves, packet by packet."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.packets.append(data)

    def writelines(self, parts: Any) -> None:
        self.packets.append(b"".join(parts))

    def close(self) -> None:
        self.packets.append(b"<closed>")


def corked() -> tuple[CoalescingTransport, list[bytes]]:
    transport = Noting()
    return CoalescingTransport(cast(asyncio.Transport, transport), asyncio.get_running_loop()), transport.packets


async def test_a_head_leaves_with_its_body() -> None:
    transport, packets = corked()
    transport.write(b"head ")
    transport.write(b"body")
    transport.write(b"head ")
    transport.write(b"body")
    await asyncio.sleep(0)
    assert packets == [b"head body", b"head body"]


async def test_a_head_alone_leaves_at_the_end_of_the_turn() -> None:
    transport, packets = corked()
    transport.write(b"head")
    assert packets == []
    await asyncio.sleep(0)
    assert packets == [b"head"]


async def test_what_leaves_whole_stays_behind_what_was_written_before() -> None:
    transport, packets = corked()
    transport.write(b"100 ")
    transport.writelines((b"head ", b"body"))
    await asyncio.sleep(0)
    assert packets == [b"100 head body"]


async def test_nothing_is_left_behind_by_a_close() -> None:
    transport, packets = corked()
    transport.write(b"head")
    transport.close()
    await asyncio.sleep(0)
    assert packets == [b"head", b"<closed>"]
