"""Every command with a standard stream that is full, closed, or has no reader: no traceback, nothing misdirected."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pytest

from scripts.commands.completion import SHELLS
from scripts.errors import ExitCode
from tests.scripts.commands_under_test import WORDS
from tests.support.command import ELSEWHERE, environment

RUN_EACH = """
import fcntl, json, os, sys
from scripts.cli import main
commands, report = json.loads(sys.argv[1]), sys.argv[2]
streams = {name: getattr(sys, name) for name in ("stdin", "stdout", "stderr")}
files = [None if stream is None else fcntl.fcntl(n, fcntl.F_DUPFD, 10) for n, stream in enumerate(streams.values())]
codes, replaced = [], []
for words in commands:
    for number, (name, stream) in enumerate(streams.items()):
        os.closerange(number, number + 1) if stream is None else os.dup2(files[number], number)
        setattr(sys, name, stream)
    sys.argv = ["smarttrip", *words]
    try:
        main()
    except SystemExit as ended:
        codes.append(ended.code)
    # Collected, it would close the stream that it replaces.
    replaced.append(sys.stdout)
with open(report, "w") as file:
    json.dump(codes, file)
"""
"""Runs one command after the other in one process, each with the streams that the process began with."""

HELP = [[*words, "--help"] for words in WORDS]
WRONG = [[*words, "--no-such-option"] for words in WORDS]
RESULTS = [
    *(["size"], ["size", "--json"], ["--version"]),
    *(["completion", shell] for shell in SHELLS),
]
"""Commands that print a result without a server."""
FULL = "Standard output cannot be written: No space left on device."


class Runner:
    def __init__(self, folder: Path) -> None:
        self._report = folder / "codes"

    def run(
        self,
        commands: Sequence[Sequence[str]],
        redirection: str = "",
        *,
        stdout: int = subprocess.PIPE,
        env: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[list[int], str, str]:
        """Run each command under a shell's redirection; return exit codes, standard output and standard error."""
        program = [sys.executable, "-c", RUN_EACH, json.dumps(commands), str(self._report)]
        done = subprocess.run(
            ["bash", "-c", f'exec "$0" "$@" {redirection}', *program],
            env=environment(**env),
            cwd=ELSEWHERE,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        return json.loads(self._report.read_text()), done.stdout, done.stderr


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


@pytest.mark.parametrize("env", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["buffered", "unbuffered"])
def test_full_output_is_named(runner: Runner, env: dict[str, str]) -> None:
    commands = [*HELP, *RESULTS]
    codes, _, error = runner.run(commands, ">/dev/full", env=env)
    assert codes == [ExitCode.FAILED] * len(commands)
    assert error.splitlines() == [FULL] * len(commands)


def test_output_without_a_reader_ends_the_command_without_a_word(runner: Runner) -> None:
    commands = [*HELP, *RESULTS]
    read, written = os.pipe()
    os.close(read)
    try:
        codes, _, error = runner.run(commands, stdout=written)
    finally:
        os.close(written)
    assert (codes, error) == ([ExitCode.FAILED] * len(commands), "")


def test_closed_output_is_left_out(runner: Runner) -> None:
    commands = [*HELP, *RESULTS]
    codes, _, error = runner.run(commands, ">&-")
    assert (codes, error) == ([ExitCode.DONE] * len(commands), "")


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_errors_never_go_to_the_output(runner: Runner, redirection: str) -> None:
    assert runner.run(WRONG, redirection) == ([ExitCode.USAGE] * len(WRONG), "", "")


def test_command_with_everything_closed_ends_as_always(runner: Runner) -> None:
    codes, _, _ = runner.run([*WRONG, *RESULTS], "<&- >&- 2>&-")
    assert codes == [ExitCode.USAGE] * len(WRONG) + [ExitCode.DONE] * len(RESULTS)


def test_character_that_the_output_cannot_encode_is_escaped() -> None:
    program = "from scripts.standard_streams import open_standard_streams; open_standard_streams(); print('\\u05d0')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(PYTHONIOENCODING="ascii"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("\\u05d0\n", "")
