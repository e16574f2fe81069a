import asyncio
from typing import Any, cast

from app.server.coalescing_transport import CoalescingTransport


class RecordingTransport:
    """Records what is sent, packet by packet."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.packets.append(data)

    def writelines(self, parts: Any) -> None:
        self.packets.append(b"".join(parts))

    def close(self) -> None:
        self.packets.append(b"<closed>")

    def is_closing(self) -> bool:
        return b"<closed>" in self.packets


def coalescing() -> tuple[CoalescingTransport, list[bytes]]:
    transport = RecordingTransport()
    return CoalescingTransport(cast(asyncio.Transport, transport), asyncio.get_running_loop()), transport.packets


async def test_head_and_body_are_one_packet() -> None:
    transport, packets = coalescing()
    transport.write(b"head ")
    transport.write(b"body")
    transport.write(b"head ")
    transport.write(b"body")
    await asyncio.sleep(0)
    assert packets == [b"head body", b"head body"]


async def test_head_alone_is_sent_after_the_iteration() -> None:
    transport, packets = coalescing()
    transport.write(b"head")
    assert packets == []
    await asyncio.sleep(0)
    assert packets == [b"head"]


async def test_writelines_follows_buffered_write() -> None:
    transport, packets = coalescing()
    transport.write(b"100 ")
    transport.writelines((b"head ", b"body"))
    await asyncio.sleep(0)
    assert packets == [b"100 head body"]


async def test_close_flushes_buffered_write() -> None:
    transport, packets = coalescing()
    transport.write(b"head")
    transport.close()
    await asyncio.sleep(0)
    assert packets == [b"head", b"<closed>"]


async def test_nothing_is_written_to_a_closed_connection() -> None:
    transport, packets = coalescing()
    transport.close()
    transport.write(b"head")
    await asyncio.sleep(0)
    transport.write(b"head")
    transport.write(b"body")
    transport.writelines([b"head", b"body"])
    assert packets == [b"<closed>"]
