"""Run the `smarttrip` command with a minimal environment."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

SMARTTRIP = str(Path(sys.executable).with_name("smarttrip"))
# A folder without a .env file.
ELSEWHERE = tempfile.gettempdir()


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of a shell with no settings but `variables`."""
    inherited = ("PATH", "HOME", "XDG_CACHE_HOME", "LANG", "REQUESTS_CA_BUNDLE")
    return {name: os.environ[name] for name in inherited if name in os.environ} | variables


def smarttrip(
    *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 100
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SMARTTRIP, *arguments],
        env=environment() if env is None else env,
        cwd=ELSEWHERE,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@contextmanager
def empty_folder() -> Iterator[Path]:
    """Yield a folder for a stack, and stop the stack at the end.

    pytest's own folders are not accessible to the user that runs root's services.
    """
    with tempfile.TemporaryDirectory(prefix="smarttrip-stack-") as name:
        try:
            yield Path(name)
        finally:
            smarttrip("stack", "down", "--data", name)


def up(folder: Path) -> subprocess.CompletedProcess[str]:
    return smarttrip("stack", "up", "--data", str(folder))


def down(folder: Path) -> subprocess.CompletedProcess[str]:
    return smarttrip("stack", "down", "--data", str(folder))


def status(folder: Path) -> subprocess.CompletedProcess[str]:
    return smarttrip("stack", "status", "--data", str(folder))


def processes_of(folder: Path) -> list[str]:
    found = (process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"]))
    return [line for line in map(" ".join, found) if f"{folder}/" in line]
