"""Completion of commands, options and values, in the shells themselves."""

import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts.commands import completion
from tests.scripts.commands_under_test import COMMANDS
from tests.support.command import SMARTTRIP, environment
from tests.support.eventually import eventually

ANSWERS = """#!/bin/sh
# In place of smarttrip: completes as it does, and only records what it is called with.
[ -z "${{_SMARTTRIP_COMPLETE:-}}" ] || exec {smarttrip} "$@"
printf '%s\\n' "$*" >>{calls}
"""
START = {
    "bash": (["bash", "--norc", "-i"], 'eval "$(cat script)"'),
    "zsh": (["zsh", "-f", "-i"], "autoload -U compinit; compinit -D; source ./script"),
    "fish": (["fish", "--no-config", "-i"], "source ./script"),
}
TYPED = {
    "stack sta\t": "stack status",
    "stack up --topo\t sp\t": "stack up --topology split",
    "completion fi\t": "completion fish",
    "size --price inst\t": "size --price instance=",
    "replay --file searches-of-\t": "replay --file searches-of-monday.jsonl",
    "weights add summer searches-of-\t": "weights add summer searches-of-monday.jsonl",
    "stack up --data fold\t": "stack up --data folder-of-data",
}
"""What is typed, and the command line that the shell then runs."""


@pytest.mark.parametrize(
    ("words", "name", "typed", "offered"),
    [
        (["stack", "up"], "topology", "", ["core", "split"]),
        (["completion"], "shell", "z", ["zsh"]),
        (["size"], "price", "red", ["redis="]),
        (["stack", "up"], "data", "", []),
    ],
)
def test_choices_that_begin_as_typed_are_offered(words: list[str], name: str, typed: str, offered: list[str]) -> None:
    (parameter,) = [
        item for command, found in COMMANDS if command == words for item in found.params if item.name == name
    ]
    assert [item.value for item in parameter.shell_complete(None, typed)] == offered


@pytest.mark.slow
@pytest.mark.parametrize("shell", completion.SHELLS)
async def test_shell_completes_what_is_typed(tmp_path: Path, shell: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"needs Debian's package {shell}")
    calls = tmp_path / "calls"
    calls.touch()
    with typing_in(tmp_path, shell) as keyboard:
        for number, (typed, line) in enumerate(TYPED.items(), 1):
            os.write(keyboard, f"smarttrip {typed}\r".encode())
            await eventually(lambda number=number: len(calls.read_text().splitlines()) == number)  # type: ignore[misc]
            # Some shells leave the slash behind a folder.
            assert calls.read_text().splitlines()[-1].rstrip("/") == line


@contextmanager
def typing_in(folder: Path, shell: str) -> Iterator[int]:
    """Start the shell in a terminal, with completion; yield what its keyboard is written to."""
    (folder / "searches-of-monday.jsonl").touch()
    (folder / "folder-of-data").mkdir()
    (folder / "bin").mkdir()
    program = folder / "bin" / "smarttrip"
    program.write_text(ANSWERS.format(smarttrip=SMARTTRIP, calls=folder / "calls"))
    program.chmod(0o755)
    script = subprocess.run([SMARTTRIP, "completion", shell], env=environment(), capture_output=True, check=True)
    (folder / "script").write_bytes(script.stdout)
    command, setup = START[shell]
    path = f"{program.parent}:{Path(sys.executable).parent}:/usr/bin:/bin"
    env = environment(PATH=path, HOME=str(folder), TERM="dumb", PS1="$ ")
    ours, theirs = pty.openpty()
    command = ["setsid", "--ctty", *command]
    with subprocess.Popen(command, env=env, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        try:
            os.write(ours, f"{setup}\r".encode())
            yield ours
        finally:
            process.kill()
            os.close(ours)
