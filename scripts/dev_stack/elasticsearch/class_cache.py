"""Class cache of Elasticsearch's Java: with it a node starts in one second instead of ten.

A training run of half a minute records it, once for each home, at the lowest priority, while something else is done.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGTERM, signal

import psutil

from scripts.dev_stack.elasticsearch.command import class_cache, node_command
from scripts.dev_stack.elasticsearch.install import home
from scripts.dev_stack.file_lock import locked
from scripts.dev_stack.ports import free_port
from scripts.dev_stack.processes import start
from scripts.dev_stack.wait import http_ok, until
from scripts.errors import CliError

SECONDS_TO_TRAIN = 300
"""Limit for a start, and for a stop, of the training run, which yields to everything else."""
LOWEST_PRIORITY = 19
LOCK, SCRATCH = "training.lock", "training"
"""Suffixes of a training run's lock and folder beside the home."""
WAITING = "Elasticsearch: recording which classes it loads, so that the next start takes a second instead of ten ..."


@contextmanager
def training_in_background(*, wait: bool) -> Iterator[None]:
    """Record the class cache during a block, unless it exists; at the end wait for it, or give it up."""
    training = start_training(die_with_parent=True)
    try:
        yield
        if training is not None and wait:
            print(WAITING, file=sys.stderr, flush=True)
            training.wait()
    finally:
        if training is not None:
            _give_up(training)


def _give_up(training: subprocess.Popen[bytes]) -> None:
    """Kill a training run: at the lowest priority, on a busy machine, it could take minutes to end by itself."""
    if training.poll() is None:
        _kill_with_children(training)
        training.wait()
        with suppress(CliError), locked(_beside_home(LOCK), "Another run has begun."):
            shutil.rmtree(_beside_home(SCRATCH), ignore_errors=True)


def start_training(*, die_with_parent: bool) -> subprocess.Popen[bytes] | None:
    """Start a process that records the class cache and ends; return None if there is one already."""
    if class_cache(home()).exists():
        return None
    command = (sys.executable, "-m", "scripts.dev_stack.elasticsearch.class_cache")
    return start(command, _beside_home("training.log"), die_with_parent=SIGTERM if die_with_parent else None)


def _beside_home(suffix: str) -> Path:
    return home().with_name(f"{home().name}.{suffix}")


def train() -> None:
    """Start a node once to record the class cache, unless another process has. Raises CliError if it is not written."""
    with locked(_beside_home(LOCK)), _scratch_folder() as folder:
        if class_cache(home()).exists():
            return
        recorded = folder / "classes"
        _run_node(folder, recorded)
        if not recorded.exists():
            raise CliError(f"Elasticsearch's training run failed: {(folder / 'log').read_text()[-2000:]}")
        _publish(recorded)


@contextmanager
def _scratch_folder() -> Iterator[Path]:
    """Make an empty folder for the block, whose name those who kill the run know."""
    folder = _beside_home(SCRATCH)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run_node(folder: Path, recorded: Path) -> None:
    port = free_port()
    node = start(node_command(home(), folder, port, f"-XX:AOTCacheOutput={recorded}"), folder / "log")
    try:
        until(lambda: http_ok(port, "/_cluster/health") or node.poll() is not None, SECONDS_TO_TRAIN)
        node.terminate()
        node.wait(SECONDS_TO_TRAIN)
    finally:
        _kill_with_children(node)


def _kill_with_children(node: subprocess.Popen[bytes]) -> None:
    """Kill a process and what it has started: Java writes the class cache in a process of its own."""
    if node.poll() is None:
        processes = [psutil.Process(node.pid), *psutil.Process(node.pid).children(recursive=True)]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes)


def _publish(recorded: Path) -> None:
    """Copy the file to the home, where it appears as a whole or not at all."""
    scratch = class_cache(home()).with_suffix(".new")
    shutil.copyfile(recorded, scratch)
    scratch.chmod(0o644)
    scratch.rename(class_cache(home()))


if __name__ == "__main__":
    signal(SIGTERM, lambda *_: sys.exit())
    os.nice(LOWEST_PRIORITY)
    train()
