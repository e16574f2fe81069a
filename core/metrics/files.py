"""How metrics are kept, to be imported before the first one: in preallocated files if processes share them.

prometheus_client maps sparse files. When their disk is full, the first write to a new page ends the process with
SIGBUS. Importing this module makes it use files whose space is reserved; without space, metrics are not shared.
"""

import mmap
import os
import struct
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import disable_created_metrics, values
from prometheus_client.mmap_dict import MmapedDict

log = structlog.get_logger()

INITIAL_BYTES = 1 << 16
FIRST_POSITION = 8
ENTRY_OVERHEAD = 32
"""Bytes of an entry besides its key, at most: a length, padding, a value and a timestamp."""


class PreallocatedValues(MmapedDict):
    """Values in a file with reserved space, or in the process's own memory where there is none."""

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        if read_mode:
            super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]
            return
        try:
            _reserve(filename, INITIAL_BYTES)
            super().__init__(filename)  # type: ignore[no-untyped-call]
        except OSError as error:
            self._use_memory(filename, error)

    @property
    def is_shared(self) -> bool:
        return self._f is not None

    def _use_memory(self, filename: str, error: OSError) -> None:
        _unshared.append(f"{Path(filename).name}: {error.strerror}")
        self._f: Any = None
        self._fname = filename
        self._positions: dict[str, int] = {}
        self._capacity, self._used = INITIAL_BYTES, FIRST_POSITION
        self._m: Any = mmap.mmap(-1, self._capacity)
        self._m[:4] = struct.pack("i", self._used)

    def _init_value(self, key: str) -> None:
        while self._used + len(key.encode()) + ENTRY_OVERHEAD > self._capacity:
            self._grow()
        super()._init_value(key)  # type: ignore[no-untyped-call]

    def _grow(self) -> None:
        capacity = 2 * self._capacity
        if self._f is not None:
            try:
                os.posix_fallocate(self._f.fileno(), 0, capacity)
            except OSError as error:
                log.warning("metrics_not_shared", files=[f"{Path(self._fname).name}: {error.strerror}"])
                self._f.close()
                self._f = None
        grown = mmap.mmap(self._f.fileno() if self._f else -1, capacity)
        if self._f is None:
            grown[: self._used] = self._m[: self._used]
        self._m, self._capacity = grown, capacity


def _reserve(filename: str, size: int) -> None:
    path = Path(filename)
    with path.open("ab") as file:
        if os.fstat(file.fileno()).st_size >= size:
            return
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError:
            path.unlink()
            raise


_unshared: list[str] = []


def log_unshared() -> None:
    """Log which files had no space. Metrics are created at import, before logs are configured."""
    if _unshared:
        log.warning("metrics_not_shared", files=_unshared)


# A series for each counter that says since when it counts, which nobody reads.
disable_created_metrics()  # type: ignore[no-untyped-call]

# Looked up when a metric is created.
vars(values)["MmapedDict"] = PreallocatedValues
