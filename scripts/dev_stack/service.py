"""Description of a service: how to start it, find it again and stop it."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM, Signals

import psutil


@dataclass(frozen=True)
class Service:
    name: str
    variable: str
    """Name of the setting that holds its URL."""
    url: Callable[[Path, int], str]
    """Returns the URL for a folder and a port, with the password if there is one."""
    command: Callable[[Path, int, bool], list[str]]
    """Returns the command line for a folder, a port, and whether data may be lost; prepares the folder first."""
    is_ready: Callable[[Path, int], bool]
    """Returns whether requests are served, for a folder and a port."""
    stop_signal: Signals = SIGTERM
    program: tuple[str, ...] = ()
    """Names of the program, any of which the machine has to have; none if it comes with our packages."""

    def is_installed(self) -> bool:
        return not self.program or any(map(shutil.which, self.program))

    def folder(self, data: Path) -> Path:
        return data / self.name

    def log(self, data: Path) -> Path:
        return data / f"{self.name}.log"

    def runs_as(self, pid: int, data: Path) -> bool:
        """Return whether the process is this service.

        Process ids are reused: the command line must name the folder.
        """
        folder = str(self.folder(data))
        try:
            return any(folder in part for part in psutil.Process(pid).cmdline())
        except psutil.Error:
            return False
