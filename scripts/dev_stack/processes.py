"""Start and stop processes: services that outlive the caller, and children that must not."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from ctypes import CDLL
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM, Signals

import psutil

from scripts.dev_stack.wait import until
from scripts.errors import CliError

SMARTTRIP = str(Path(sys.executable).with_name("smarttrip"))
SECONDS_TO_START = 120
SECONDS_TO_STOP = 30

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Child:
    """A process that ends with the block that started it."""

    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Check that the process runs. Raises: CliError, if it has ended."""
        if self.process.poll() is not None:
            raise CliError(f"`{_short(self.process.args)}` has ended; its log is {self.log}.")

    def wait_until(self, ready: Callable[[], bool], interval: float = 0.05) -> None:
        """Poll every `interval` seconds. Raises CliError if the process ends first, or after SECONDS_TO_START."""

        def settled() -> bool:
            self.check()
            return ready()

        if not until(settled, SECONDS_TO_START, interval):
            command = _short(self.process.args)
            raise CliError(f"`{command}` is not ready after {SECONDS_TO_START} s; its log is {self.log}.")


@contextmanager
def running(command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> Iterator[Child]:
    """Run a command for the length of a block, in our environment unless `env` replaces it."""
    process = start(command, log, env=env, die_with_parent=SIGTERM)
    try:
        yield Child(process, log)
    finally:
        stop({process.pid: SIGTERM})
        process.wait()


def start(
    command: Sequence[str],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    user: int | None = None,
    die_with_parent: Signals | None = None,
) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, so that a Ctrl-C at our terminal does not reach it.

    `die_with_parent` is the signal that the kernel sends it when we end, even if we are killed (Linux only).
    """
    # Servers may log what their clients sent: nobody else may read it, whatever the umask.
    log.touch(mode=0o600)
    log.chmod(0o600)
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=log.parent,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            # Runs after the change of user, which would undo it; the kernel has no other way to request this.
            preexec_fn=None if die_with_parent is None else _request_death_signal(die_with_parent),  # noqa: PLW1509
        )


def stop(signals: Mapping[int, Signals]) -> None:
    """Send each process its signal, and kill those that have not ended after SECONDS_TO_STOP."""
    processes = []
    for pid, signal in signals.items():
        with suppress(psutil.NoSuchProcess):
            processes.append(psutil.Process(pid))
            processes[-1].send_signal(signal)
    _, alive = psutil.wait_procs(processes, SECONDS_TO_STOP)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, SECONDS_TO_STOP)


def _request_death_signal(signal: Signals) -> Callable[[], None] | None:
    """Return a function that asks the kernel to signal the process when its parent ends; None where it cannot."""
    if sys.platform != "linux":
        return None
    # Looked up before the fork: after it, nothing may be done that takes a lock.
    prctl = CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal)


def _short(command: object) -> str:
    """Return the command line without the folder of its program."""
    parts = [str(part) for part in command] if isinstance(command, list | tuple) else [str(command)]
    return " ".join([Path(parts[0]).name, *parts[1:]])
