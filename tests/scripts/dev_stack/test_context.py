import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.dev_stack.wait import until
from tests.support.command import processes_of, status

pytestmark = pytest.mark.slow

RUNNING_BLOCK = """
import sys, time
from pathlib import Path
from scripts.dev_stack.context import running_stack
with running_stack(Path(sys.argv[1]), busy="in use", ephemeral=True):
    print("running", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_ephemeral_stack_is_removed_after_the_block(folder: Path, ending: signal.Signals) -> None:
    with block(folder) as process:
        process.send_signal(ending)
        process.wait(60)
    assert processes_of(folder) == []
    assert not folder.exists()
    folder.mkdir()


def test_stack_ends_if_the_block_is_killed(folder: Path) -> None:
    with block(folder) as process:
        process.kill()
    assert until(lambda: processes_of(folder) == [], seconds=30)


def test_folder_is_used_by_one_block_at_a_time(folder: Path) -> None:
    with block(folder) as first:
        second = subprocess.run(block_command(folder), capture_output=True, text=True, check=False)
        assert "in use" in second.stderr
        assert first.poll() is None
        assert status(folder).returncode == 0
        first.terminate()
    folder.mkdir()


def block_command(folder: Path) -> list[str]:
    return [sys.executable, "-c", RUNNING_BLOCK, str(folder)]


def block(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(block_command(folder), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    return process
