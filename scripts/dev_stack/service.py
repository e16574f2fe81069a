"""What the stack must know of a service to start it, find it again and end it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM, Signals

import psutil


@dataclass(frozen=True)
class Service:
    name: str
    variable: str
    """The setting that holds its URL."""
    url: Callable[[int], str]
    """From its port."""
    command: Callable[[Path, int, bool], list[str]]
    """From its folder, its port and whether its data may be lost. Makes what the folder needs first."""
    answers: Callable[[int], bool]
    """Whether requests to its port are served."""
    stop_signal: Signals = SIGTERM

    def folder(self, data: Path) -> Path:
        return data / self.name

    def log(self, data: Path) -> Path:
        return data / f"{self.name}.log"

    def runs_as(self, pid: int, data: Path) -> bool:
        """Process numbers are used again: one is ours only if its command line names our folder."""
        folder = str(self.folder(data))
        try:
            return any(folder in part for part in psutil.Process(pid).cmdline())
        except psutil.Error:
            return False
