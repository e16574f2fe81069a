"""The Makefile and the pre-commit hooks run what scripts/check.py runs, and say what they do."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest
import yaml
from typer.main import get_command

from scripts.check import STATIC_CHECKS
from scripts.cli import app
from tests.conftest import SERVICES
from tests.docs.documents import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


@needs_make
def test_make_help_lists_every_target_with_a_line() -> None:
    lines = make("help").stdout.splitlines()
    assert [line.split()[0] for line in lines] == TARGETS
    assert all(len(line.split()) > 2 for line in lines)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_fast_tests_need_no_settings() -> None:
    command = (sys.executable, "-m", "pytest", "-q", "-m", "fast", "-p", "no:cacheprovider", "tests/app/access")
    env = {name: value for name, value in os.environ.items() if name not in SERVICES}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@needs_make
def test_make_help_is_the_default() -> None:
    assert make().stdout == make("help").stdout


@needs_make
@pytest.mark.parametrize("target", TARGETS)
def test_make_target_can_be_expanded(target: str) -> None:
    assert make("--dry-run", target).returncode == 0


def test_makefile_runs_commands_that_exist() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    assert set(re.findall(r"smarttrip ([a-z]+)", MAKEFILE)) <= commands.keys()


def _pairs(hooks: list[dict[str, str]]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for hook in hooks:
        yield hook["name"], tuple(hook["entry"].removeprefix(".venv/bin/").split())


def test_hooks_are_the_static_checks() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    assert tuple(_pairs(repository["hooks"])) == STATIC_CHECKS


def test_makefile_runs_the_static_checks() -> None:
    assert [command for _, command in STATIC_CHECKS if f"$(BIN)/{' '.join(command)}" not in MAKEFILE] == []
