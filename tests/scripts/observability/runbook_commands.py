"""Extract the commands of runbooks and run them as an operator does."""

import asyncio
import logging
import os
import re
import shutil
import sys
from collections.abc import Collection
from pathlib import Path

import pytest

from core.configuration.settings import Settings
from tests.docs.documents import ROOT
from tests.support.processes import environment

log = logging.getLogger(__name__)

BLOCK = re.compile(r"^```sh *(?P<kind>[^\n]*)\n(?P<script>.+?)^```$", re.MULTILINE | re.DOTALL)
RUNBOOKS = ROOT / "docs/runbooks"
API, WORKER = "http://localhost:5000", "http://localhost:5001"
"""Addresses of the processes in the commands."""

needs_clients = pytest.mark.skipif(
    not all(map(shutil.which, ("curl", "openssl", "psql", "redis-cli", "redis-server"))),
    reason="needs clients of all servers: apt-get install curl openssl postgresql-client redis-server",
)


def blocks(runbook: str) -> list[tuple[str, str]]:
    """Return the kind and the commands of each block."""
    text = (RUNBOOKS / f"{runbook}.md").read_text(encoding="utf-8")
    return [(block["kind"], block["script"]) for block in BLOCK.finditer(text)]


async def run(
    runbook: str,
    kind: str,
    settings: Settings,
    *,
    codes: Collection[int] = (0,),
    api: str = API,
    worker: str = WORKER,
    **variables: str,
) -> str:
    """Run the commands of the blocks of a kind, and return what they print."""
    scripts = [script for found, script in blocks(runbook) if found == kind]
    assert scripts, f"{runbook} has no block of the kind {kind}"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = environment(settings, **{"PATH": path, **variables})
    output = ""
    for script in scripts:
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", f"set -e -o pipefail\n{script.replace(API, api).replace(WORKER, worker)}",
            env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        printed, _ = await process.communicate()
        output += printed.decode()
        log.info("%s: %s", runbook, printed.decode())
        assert process.returncode in codes, f"{script}\n{output}"
    return output
