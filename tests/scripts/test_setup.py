import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """As much of the project as the set-up reads before it needs the network."""
    for name in ("scripts/setup", "requirements-dev.lock", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def set_up(clone: Path, python: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHON": python}
    return subprocess.run([clone / "scripts" / "setup"], env=env, capture_output=True, text=True, check=False)


def executable(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_old_python_is_rejected_in_one_sentence(clone: Path) -> None:
    old = executable(clone / "python3.10", "exit 1")
    answer = set_up(clone, old)
    assert answer.returncode == 1
    assert answer.stderr.startswith("setup: No Python 3.11 or newer on the PATH")
    assert len(answer.stderr.splitlines()) == 1


def test_python_without_venv_is_rejected_with_advice(clone: Path) -> None:
    # The question for its version passes, making an environment does not.
    bare = executable(clone / "python", 'case "$*" in *venv*) exit 1;; *) echo Python 3.11.0;; esac')
    answer = set_up(clone, bare)
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[-1].endswith("apt install python3-venv.")


def test_complete_installation_is_not_changed(clone: Path) -> None:
    (clone / ".venv" / "bin").mkdir(parents=True)
    asked = clone / "asked"
    executable(clone / ".venv" / "bin" / "python", f'echo "$*" >> "{asked}"')
    fingerprint = subprocess.run(
        "cat requirements-dev.lock pyproject.toml | cksum; pwd -P",
        shell=True,
        cwd=clone,
        capture_output=True,
        check=True,
    )
    (clone / ".venv" / "installed").write_bytes(fingerprint.stdout)
    answer = set_up(clone, "no-python-needed")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert asked.read_text() == "-m scripts.dev_stack.elasticsearch.install\n"
