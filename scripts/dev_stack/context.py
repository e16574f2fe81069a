"""A stack that lasts as long as a block of code, whatever ends it."""

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from scripts.dev_stack import manager
from scripts.dev_stack.file_lock import locked
from scripts.dev_stack.paths import open_folder

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def running_stack(data: Path, *, busy: str, ephemeral: bool = False) -> Iterator[dict[str, str]]:
    """The settings that lead to the services. `ephemeral`: the data goes with them.

    Raises CommandError with `busy` where another block uses the folder.
    """
    open_folder(data)
    with locked(data / "in-use", busy):
        for number in _ENDING:
            signal.signal(number, _end)
        try:
            manager.up(data, ephemeral=ephemeral, die_with_parent=True)
            yield manager.environment(data)
        finally:
            for number in _ENDING:
                signal.signal(number, signal.SIG_IGN)
            manager.down(data)
            if ephemeral:
                shutil.rmtree(data)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
