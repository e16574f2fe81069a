"""Metrics that processes share survive a full disk: they may be lost, the process is not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FILL_AND_COUNT = """
import os, sys
from pathlib import Path
directory = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
filling = int(sys.argv[1])

def fill():
    with (directory / "filler").open("ab", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass

if filling == 0:
    fill()
from prometheus_client import values
import app
from prometheus_client import Counter, Gauge, Histogram
counter = Counter("c", "c", ["label"])
gauge = Gauge("g", "g", ["label"], multiprocess_mode="livesum")
histogram = Histogram("h", "h", ["label"])
for number in range(2000):
    if number == filling:
        fill()
    for metric in (counter, gauge):
        metric.labels(f"{number} " + "x" * 50).inc()
    histogram.labels(number % 500).observe(number)
assert counter.labels("5 " + "x" * 50)._value.get() == 1
assert gauge.labels("1999 " + "x" * 50)._value.get() == 1
print("alive")
"""


def count_on_disk(folder: Path, *, filling: int, size: str) -> str:
    """Count in a process whose metrics are on a disk of `size`, which is filled before the metric number `filling`."""
    mount = f'mount -t tmpfs -o size={size} none {folder} && exec {sys.executable} -c "$0" {filling}'
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", mount, FILL_AND_COUNT]
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(folder), "PATH": "/usr/bin:/bin"}
    process = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    if "mount:" in process.stderr or "unshare:" in process.stderr:
        pytest.skip("a process may not mount a small disk here")
    return process.stdout + process.stderr[-500:]


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")
@pytest.mark.parametrize("filling", [0, 1, 100, 1000, 5000], ids=lambda number: f"before metric {number}")
def test_full_disk_ends_no_process(tmp_path: Path, filling: int) -> None:
    assert count_on_disk(tmp_path, filling=filling, size="1m").endswith("alive\n")
