"""Metrics of several server processes: a directory of files, read together, and merged when a process has ended."""

import fcntl
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from prometheus_client import CollectorRegistry, Metric, ProcessCollector, multiprocess
from prometheus_client.registry import Collector

from core.metrics.files import PreallocatedValues

log = structlog.get_logger()

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable: the directory in which worker processes share their metrics."""

LOCK = "lock"
ENDED = "0"
"""In place of a process id: the sums of all processes that have ended."""

FILE_NAME = re.compile(r"(?P<type>.+)_(?P<pid>\d+)\.db")
SUMMED_TYPES = ("counter", "histogram", "summary")


@contextmanager
def shared_directory() -> Iterator[None]:
    """Provide a temporary directory for the metrics of the worker processes, if the disk has room for one."""
    try:
        directory = TemporaryDirectory(prefix="smarttrip-metrics-", ignore_cleanup_errors=True)
        Path(directory.name, LOCK).touch()
    except OSError as error:
        log_unreadable(error)
        yield
        return
    with directory:
        os.environ[DIRECTORY] = directory.name
        yield


def is_shared() -> bool:
    return DIRECTORY in os.environ


def shared_registry() -> CollectorRegistry:
    """Return a registry with the metrics of all processes; collect it inside `reading`."""
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(ProcessesCollector())
    return registry


@contextmanager
def reading() -> Iterator[None]:
    """Keep files from being merged during the block. Raises: OSError, if somebody has removed them."""
    with _locked(fcntl.LOCK_SH):
        yield


def mark_process_dead(pid: int) -> None:
    """Remove the gauges of a process that ends, and add its counters to those of all that have ended."""
    if not is_shared():
        return
    try:
        with _locked(fcntl.LOCK_EX):
            multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
            for kind in SUMMED_TYPES:
                _merge(_directory() / f"{kind}_{pid}.db", _directory() / f"{kind}_{ENDED}.db")
    except OSError as error:
        log_unreadable(error)


def log_unreadable(error: OSError) -> None:
    """Log that the files cannot be used, as when somebody has removed them with other temporary files."""
    log.warning("metrics_not_shared", files=[f"directory: {error.strerror}"])


def _merge(source: Path, target: Path) -> None:
    if not source.exists():
        return
    sums = PreallocatedValues(str(target))
    if sums.is_shared:
        for key, value, _, _ in PreallocatedValues.read_all_values_from_file(str(source)):  # type: ignore[no-untyped-call]
            sums.write_value(key, sums.read_value(key)[0] + value, 0.0)  # type: ignore[no-untyped-call]
    if sums.is_shared:
        source.unlink()
    sums.close()  # type: ignore[no-untyped-call]


class ProcessesCollector(Collector):
    """CPU time, memory, file descriptors and start time of each process, with the label pid."""

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for pid in sorted(_live_processes()):
            for family in ProcessCollector(pid=lambda pid=pid: pid, registry=None).collect():  # type: ignore[misc]
                merged = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    merged.add_sample(sample.name, {"pid": str(pid)}, sample.value)
        return families.values()


def _live_processes() -> set[int]:
    """Return the ids of the processes that have files, and of this one."""
    names = (FILE_NAME.fullmatch(path.name) for path in _directory().iterdir())
    pids = {int(name["pid"]) for name in names if name and name["pid"] != ENDED}
    return {pid for pid in pids if Path(f"/proc/{pid}").exists()} | {os.getpid()}


def _directory() -> Path:
    return Path(os.environ[DIRECTORY])


@contextmanager
def _locked(operation: int) -> Iterator[None]:
    descriptor = os.open(_directory() / LOCK, os.O_RDONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, operation)
        yield
    finally:
        os.close(descriptor)
