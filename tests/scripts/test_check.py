import json
import os
import subprocess
import sys
from pathlib import Path
from signal import SIGTERM

import pytest

from scripts import check
from tests.docs.documents import ROOT


@pytest.mark.parametrize(("count", "repeated"), [(0, False), (1, True), (10, True), (11, False)])
def test_few_failed_tests_are_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, repeated: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    check.LAST_FAILED.parent.mkdir(parents=True)
    check.LAST_FAILED.write_text(json.dumps({f"tests/test_{number}.py::test_it": True for number in range(count)}))
    assert check._are_few_failed() is repeated


def test_nothing_is_repeated_where_a_file_could_not_be_collected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    check.LAST_FAILED.parent.mkdir(parents=True)
    check.LAST_FAILED.write_text(json.dumps({"tests/test_it.py": True}))
    assert not check._are_few_failed()


def test_nothing_is_repeated_without_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not check._are_few_failed()


INTERRUPTED_PYTEST = """
import signal, sys, pytest
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
signal.raise_signal(signal.SIGINT)
sys.exit(pytest.main(["-q", "-m", "fast", "-p", "no:cacheprovider", "tests/app/access"]))
"""
IS_BLOCKED = "import signal, sys; sys.exit(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))"


def test_commands_start_with_ctrl_c_blocked() -> None:
    assert check._run((sys.executable, "-c", IS_BLOCKED), os.environ, SIGTERM) == 1
    # This process is as it was.
    assert subprocess.run([sys.executable, "-c", IS_BLOCKED], check=False).returncode == 0


def test_pytest_ends_in_order_at_a_ctrl_c_that_came_before_its_session() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_PYTEST], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr
