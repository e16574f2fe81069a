"""A named pipe that is full, and that nobody reads."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def full_pipe(path: Path) -> Iterator[Path]:
    """Have a full pipe at `path` during the block, and yield its path."""
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"x")
    os.close(writer)
    yield path
    os.close(reader)
