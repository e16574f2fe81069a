import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from scripts.errors import ExitCode
from tests.support.eventually import eventually

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a folder with the files that setup reads before it needs the network."""
    for name in ("scripts/setup", "requirements-dev.lock", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def set_up(clone: Path, python: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHON": python, **variables}
    return subprocess.run([clone / "scripts" / "setup"], env=env, capture_output=True, text=True, check=False)


def executable(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_old_python_is_rejected_in_one_sentence(clone: Path) -> None:
    old = executable(clone / "python3.10", "exit 1")
    result = set_up(clone, old)
    assert result.returncode == 1
    assert result.stderr.startswith("setup: No Python 3.11 or newer on the PATH")
    assert len(result.stderr.splitlines()) == 1


def test_python_without_venv_is_rejected_with_advice(clone: Path) -> None:
    # Reports a version, but cannot create an environment.
    bare = executable(clone / "python", 'case "$*" in *venv*) exit 1;; *) echo Python 3.11.0;; esac')
    result = set_up(clone, bare)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].endswith("apt install python3-venv.")


def test_folder_that_cannot_be_written_is_explained(clone: Path) -> None:
    # Root may write everywhere, but not beneath a file.
    (clone / ".venv").touch()
    result = set_up(clone, sys.executable)
    assert result.returncode == 1
    assert (
        result.stderr
        == f"setup: {clone}/.venv cannot be made or written by this user; copy this checkout to a folder of yours.\n"
    )


def test_complete_installation_is_not_changed(clone: Path) -> None:
    (clone / ".venv" / "bin").mkdir(parents=True)
    calls = clone / "calls"
    executable(clone / ".venv" / "bin" / "python", f'echo "$*" >> "{calls}"')
    fingerprint = subprocess.run(
        "cat requirements-dev.lock pyproject.toml | cksum; pwd -P",
        shell=True,
        cwd=clone,
        capture_output=True,
        check=True,
    )
    (clone / ".venv" / "installed").write_bytes(fingerprint.stdout)
    result = set_up(clone, "no-python-needed")
    assert (result.returncode, result.stderr) == (0, "")
    assert calls.read_text() == "-m scripts.dev_stack.elasticsearch.install\n"


@pytest.mark.parametrize(("value", "is_compiled"), [("1", True), ("", False)])
def test_packages_are_compiled_where_python_keeps_no_bytecode(clone: Path, value: str, is_compiled: bool) -> None:
    uv = executable(clone / "uv", 'echo "$*" >> uv-calls')
    creates = f'case "$*" in *venv*) mkdir -p .venv/bin; cp "$0" .venv/bin/python; cp "{uv}" .venv/bin/uv;; esac'
    result = set_up(clone, executable(clone / "python", creates), PYTHONDONTWRITEBYTECODE=value)
    assert result.returncode == 0, result.stderr
    assert ("--compile-bytecode" in (clone / "uv-calls").read_text()) == is_compiled


STEPS = ("-m venv", "requirements-setup.lock", "requirements-dev.lock", "--no-deps -e", "elasticsearch.install")
"""Parts of the command lines of the programs that setup runs, in order."""
WAITING = """import pathlib, subprocess, sys; pathlib.Path("reached").touch(); subprocess.run(["sleep", "300"])"""
"""A program that a Ctrl-C of its own would end with a traceback, and another one that it has started."""


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("command", ["setup", "demo", "test"])
async def test_ctrl_c_leaves_one_line_and_no_process(clone: Path, command: str, step: str) -> None:
    for name in ("demo", "test"):
        shutil.copy(ROOT / "scripts" / name, clone / "scripts" / name)
    programs = "mkdir -p .venv/bin; cp python .venv/bin/python; cp python .venv/bin/uv"
    waits = f"""case "$*" in *"{step}"*) exec {sys.executable} -c '{WAITING}';; *venv*) {programs};; esac"""
    env = {**os.environ, "PYTHON": executable(clone / "python", waits), "SMARTTRIP_TEST": str(clone)}
    started = subprocess.Popen(
        [clone / "scripts" / command], env=env, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    with started:
        await eventually((clone / "reached").exists)
        # A terminal sends it to all processes of the foreground.
        os.killpg(started.pid, signal.SIGINT)
        _, error = started.communicate()
    *before, last = error.splitlines()
    assert last == "setup: interrupted; run ./scripts/setup again to go on."
    assert all(line.startswith(("setup: creating", "setup: install")) for line in before)
    assert started.returncode == ExitCode.INTERRUPTED
    assert running_in(clone) == []


def running_in(folder: Path) -> list[list[str]]:
    """Return the command lines of the processes that were started with SMARTTRIP_TEST set to the folder."""
    found = psutil.process_iter(["cmdline", "environ"])
    return [p.info["cmdline"] for p in found if (p.info["environ"] or {}).get("SMARTTRIP_TEST") == str(folder)]
