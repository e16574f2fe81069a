"""Services that run for the length of a block of code, whatever ends it."""

import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from scripts.dev_stack import manager
from scripts.dev_stack.file_lock import locked
from scripts.dev_stack.paths import open_folder
from scripts.dev_stack.service import Service
from scripts.interrupts import raise_interrupt

_TERMINATION = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def running_stack(
    data: Path,
    *,
    busy: str,
    ephemeral: bool = False,
    services: Sequence[Service] = manager.SERVICES,
    late: Sequence[Service] = (),
) -> Iterator[dict[str, str]]:
    """Start the services and yield the settings that lead to them; with `ephemeral`, delete their data at the end.

    The `late` ones may still be starting: `manager.up` waits for them. Raises CliError with the sentence `busy` if
    another block uses the folder.
    """
    with reserved_folder(data, busy):
        for number in _TERMINATION:
            signal.signal(number, _terminate)
        try:
            manager.up(data, services, late=late, ephemeral=ephemeral, die_with_parent=True)
            yield manager.environment(data, late)
        finally:
            for number in _TERMINATION:
                signal.signal(number, signal.SIG_IGN)
            manager.down(data)
            if ephemeral:
                shutil.rmtree(data)


@contextmanager
def reserved_folder(data: Path, busy: str) -> Iterator[None]:
    """Keep others from starting services in the folder. Raises CliError with the sentence `busy` if some run."""
    open_folder(data)
    with locked(data / "in-use", busy):
        yield


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    if number == signal.SIGINT:
        raise_interrupt(number, frame)
    raise SystemExit(128 + number)
