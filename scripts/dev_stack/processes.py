"""Starting and ending processes that outlive, or must not outlive, the one that starts them."""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from ctypes import CDLL
from pathlib import Path
from signal import Signals

import psutil

SECONDS_TO_STOP = 30

_PR_SET_PDEATHSIG = 1


def start(
    command: Sequence[str],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    user: int | None = None,
    ends_with_us: Signals | None = None,
) -> subprocess.Popen[bytes]:
    """Start it in a session of its own, where a Ctrl-C at our terminal is not for it.

    `ends_with_us` is the signal that it gets when we end, even if we are killed.
    """
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
            # Runs after the change of user, which would undo it; the kernel has no other way to ask for this.
            preexec_fn=None if ends_with_us is None else _asking_for(ends_with_us),  # noqa: PLW1509
        )


def stop(signals: Mapping[int, Signals]) -> None:
    """Ask the processes to end, each with its own signal, and kill those that do not."""
    processes = [psutil.Process(pid) for pid in signals if psutil.pid_exists(pid)]
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signals[process.pid])
    _, still_there = psutil.wait_procs(processes, SECONDS_TO_STOP)
    for process in still_there:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(still_there, SECONDS_TO_STOP)


def _asking_for(signal: Signals) -> Callable[[], None] | None:
    """For the new process to run: have the kernel send it the signal when we end."""
    if sys.platform != "linux":
        return None
    # Looked up before the fork: after it, nothing may be done that takes a lock.
    prctl = CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal)
