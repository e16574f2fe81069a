"""Lines that cannot be written are dropped and counted; whoever logs waits for nothing."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from prometheus_client import REGISTRY

from core.logs.writer import MAX_QUEUED_LINES, LogWriter

METRIC = "smarttrip_log_lines_dropped_total"


@contextmanager
def unread_pipe() -> Iterator[int]:
    reader, writer = os.pipe()
    yield writer
    os.close(reader)


@contextmanager
def full_disk() -> Iterator[int]:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


@contextmanager
def pipe_without_reader() -> Iterator[int]:
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@contextmanager
def no_standard_error() -> Iterator[None]:
    yield None


@pytest.mark.parametrize("destination", [unread_pipe, full_disk, pipe_without_reader, no_standard_error])
def test_lines_are_dropped_and_counted(destination: object) -> None:
    dropped_before = REGISTRY.get_sample_value(METRIC) or 0.0
    with destination() as descriptor:  # type: ignore[operator]
        writer = LogWriter(descriptor)
        started = time.monotonic()
        for _ in range(3 * MAX_QUEUED_LINES):
            writer.write("x" * 200)
        writer.flush(seconds=0.2)
        assert time.monotonic() - started < 5
        writer.report_dropped()
    assert (REGISTRY.get_sample_value(METRIC) or 0.0) - dropped_before >= MAX_QUEUED_LINES


def test_writing_resumes_when_the_pipe_is_read() -> None:
    reader, descriptor = os.pipe()
    writer = LogWriter(descriptor)
    for number in range(2000):
        writer.write(f"{number} {'x' * 100}")
    received = bytearray()
    while received.count(b"\n") < 2000:
        received += os.read(reader, 65536)
    assert [int(line.split()[0]) for line in received.splitlines()] == list(range(2000))
    assert writer.flush()


def test_lines_of_many_threads_stay_whole() -> None:
    reader, descriptor = os.pipe()
    writer = LogWriter(descriptor)

    def write_lines() -> None:
        for _ in range(100):
            writer.write("y" * 300)

    threads = [threading.Thread(target=write_lines) for _ in range(8)]
    for thread in threads:
        thread.start()
    received = bytearray()
    while received.count(b"\n") < 800:
        received += os.read(reader, 65536)
    assert set(bytes(received).splitlines()) == {b"y" * 300}


def test_line_after_a_torn_one_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    written = bytearray()

    def write_to_filling_disk(descriptor: int, data: bytes) -> int:
        if len(written) == 3:
            written.extend(b"")
            raise OSError(28, "No space left on device")
        part = bytes(data)[:3] if not written else bytes(data)
        written.extend(part)
        return len(part)

    writer = LogWriter(None)
    writer._descriptor = 0
    monkeypatch.setattr("core.logs.writer.os.write", write_to_filling_disk)
    writer.write("first")
    writer.flush()
    written.extend(b"|")
    writer.write("second")
    writer.flush()
    assert bytes(written) == b"fir|\nsecond\n"
