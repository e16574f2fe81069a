"""Ctrl-C while the program is still being imported."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from scripts import entry
from scripts.errors import ExitCode
from tests.docs.documents import ROOT
from tests.support.command import ELSEWHERE, environment

INTERRUPTED_AT = """
import signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Finder())
from scripts.entry import main
main()
"""


def test_command_begins_at_the_entry_point() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"smarttrip": f"{entry.__name__}:{entry.main.__name__}"}
    assert entry.INTERRUPTED == ExitCode.INTERRUPTED


HELD = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
signal.raise_signal(signal.SIGINT)
from scripts.entry import main
main()
"""


def run_size(program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, "size"]
    return subprocess.run(command, env=environment(), cwd=ELSEWHERE, capture_output=True, text=True, check=False)


def test_interrupt_that_was_held_back_is_one_line() -> None:
    ended = run_size(HELD)
    assert (ended.returncode, ended.stderr) == (ExitCode.INTERRUPTED, "Interrupted.\n")


@pytest.mark.parametrize("module", ["scripts.cli", "typer", "scripts.commands.size", "scripts.sizing.plan"])
def test_interrupt_while_a_module_is_imported_is_one_line(module: str) -> None:
    ended = run_size(INTERRUPTED_AT.format(module=module))
    assert ended.returncode == ExitCode.INTERRUPTED
    assert ended.stderr.startswith("Interrupted")
    assert len(ended.stderr.splitlines()) == 1


INTERRUPTS_GROUP_AT = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(0, signal.SIGINT)
sys.meta_path.insert(0, Finder())
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Return a folder with `scripts/test`, whose set-up has nothing to do."""
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    shutil.copy(ROOT / "scripts" / "test", scripts)
    (scripts / "setup").symlink_to("/bin/true")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


@pytest.mark.parametrize("module", ["runpy", "scripts.check", "scripts.dev_stack.context"])
def test_interrupt_while_the_test_command_is_imported_is_one_line(installed: Path, module: str) -> None:
    # Python imports it before all else.
    (installed / "sitecustomize.py").write_text(INTERRUPTS_GROUP_AT.format(module=module))
    ended = subprocess.run(
        [installed / "scripts" / "test"],
        env=environment(PYTHONPATH=f"{installed}:{ROOT}"),
        start_new_session=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (ExitCode.INTERRUPTED, "", "Interrupted.\n")
