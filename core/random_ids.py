"""Random ids, made of the system's randomness, which is read in blocks: a system call takes longer than an id may."""

import os
from collections.abc import Iterator
from struct import iter_unpack

BLOCK_IDS = 256
"""Ids that one block is enough for."""

VARIANTS = "89ab"
"""Digits that can begin the fourth group of a random UUID."""


class RandomBlocks:
    """Random parts of 16 bytes. No two threads get the same: taking the next item of the iterator is atomic."""

    def __init__(self) -> None:
        self._unused: Iterator[tuple[bytes]] = iter(())
        # A forked process must not repeat the ids of its parent.
        os.register_at_fork(after_in_child=self._discard)

    def take(self) -> bytes:
        for (part,) in self._unused:
            return part
        self._unused = iter_unpack("16s", os.urandom(16 * BLOCK_IDS))
        return self.take()

    def _discard(self) -> None:
        self._unused = iter(())


_blocks = RandomBlocks()


def random_hex() -> str:
    """Return 128 random bits as 32 digits."""
    return _blocks.take().hex()


def random_uuid() -> str:
    """Return a random UUID (RFC 9562, version 4)."""
    digits = _blocks.take().hex()
    variant = VARIANTS[int(digits[16], 16) % 4]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
