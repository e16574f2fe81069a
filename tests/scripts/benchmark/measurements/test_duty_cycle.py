import subprocess
import sys
import time

import psutil

from scripts.benchmark.measurements.duty_cycle import slowed

SHARE = 0.2
SECONDS = 2.0


def test_process_runs_for_its_share_of_the_time_and_on_afterwards() -> None:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        cpu = psutil.Process(process.pid).cpu_times
        with slowed(process.pid, SHARE):
            before, began = cpu().user, time.monotonic()
            time.sleep(SECONDS)
            used = (cpu().user - before) / (time.monotonic() - began)
        # Less where others use the cores; a clock of ten milliseconds and late signals add a little.
        assert 0 < used < 1.5 * SHARE
        assert psutil.Process(process.pid).status() != psutil.STATUS_STOPPED
    finally:
        process.kill()
        process.wait()


def test_process_that_ends_meanwhile_is_no_error() -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    with slowed(process.pid, SHARE):
        process.wait()
