"""Extract the commands of runbooks and run them as an operator does."""

import asyncio
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from core.configuration.settings import Settings
from tests.docs.documents import ROOT
from tests.support.processes import environment

BLOCK = re.compile(r"^```sh (?P<kind>confirm|first)\n(?P<script>.+?)^```$", re.MULTILINE | re.DOTALL)
RUNBOOKS = ROOT / "docs/runbooks"


def commands(runbook: str, kind: str) -> list[str]:
    text = (RUNBOOKS / f"{runbook}.md").read_text(encoding="utf-8")
    return [block["script"] for block in BLOCK.finditer(text) if block["kind"] == kind]


def runbooks_with_commands() -> Iterator[str]:
    return (path.stem for path in sorted(RUNBOOKS.glob("*.md")) if commands(path.stem, "confirm"))


async def run(runbook: str, kind: str, settings: Settings, *, codes: tuple[int, ...] = (0,)) -> str:
    """Run the commands of the blocks of a kind, and return what they print."""
    output = ""
    for script in commands(runbook, kind):
        process = await asyncio.create_subprocess_exec(
            "bash", "-ec", script,
            env={**environment(settings), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        printed, _ = await process.communicate()
        output += printed.decode()
        assert process.returncode in codes, f"{script}\n{output}"
    return output
