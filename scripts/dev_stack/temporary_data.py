"""Folders for the data of services that run for a while only."""

import os
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 -- mkdtemp makes a folder of its own in it.
"""A file system in memory, on most machines."""
ROOM = 2 * 2**30
"""Bytes that must be free in that file system and in the machine's memory, ten times what the tests need."""


def create_data_folder(prefix: str) -> Path:
    """Create a folder, in memory where there is room: Elasticsearch syncs its files whenever an index changes.

    The environment variable TMPDIR chooses another place.
    """
    in_memory = "TMPDIR" not in os.environ and has_room(MEMORY)
    return Path(tempfile.mkdtemp(prefix=prefix, dir=MEMORY if in_memory else None))


def has_room(folder: Path, room: int = ROOM) -> bool:
    """Return whether services can write `room` bytes to a folder in memory, and load programs from it."""
    if not os.access(folder, os.W_OK):
        return False
    system = os.statvfs(folder)
    free_memory = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(system.f_bavail * system.f_frsize, free_memory) > room and not system.f_flag & os.ST_NOEXEC
