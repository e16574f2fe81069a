import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from scripts.dev_stack.elasticsearch import class_cache
from tests.support.eventually import eventually

UNRESPONSIVE = """
import pathlib, signal, subprocess
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "300"])
pathlib.Path("started").write_text(str(child.pid))
child.wait()
"""


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Replace the training run with one that does not end at SIGTERM, as one that gets no CPU; return its folder."""
    monkeypatch.setattr(class_cache, "home", lambda: tmp_path / "home")
    (tmp_path / f"home.{class_cache.SCRATCH}").mkdir()

    def start(*, die_with_parent: bool) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", UNRESPONSIVE], cwd=tmp_path)

    monkeypatch.setattr(class_cache, "start_training", start)
    return tmp_path


@pytest.mark.timeout(60)
async def test_training_run_that_is_given_up_is_killed_with_what_it_started(training: Path) -> None:
    with class_cache.training_in_background(wait=False):
        await eventually(lambda: bool((training / "started").exists() and (training / "started").read_text()))
    child = int((training / "started").read_text())
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
    assert not (training / f"home.{class_cache.SCRATCH}").exists()
