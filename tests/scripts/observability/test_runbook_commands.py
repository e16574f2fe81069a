"""The commands of all runbooks, run on an installation that is well."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.configuration.settings import Settings
from scripts.errors import ExitCode
from tests.docs.test_runbooks import RUNBOOKS
from tests.scripts.observability.runbook_commands import blocks, needs_clients, run
from tests.support.api.uvicorn_server import uvicorn_serving
from tests.support.processes import worker_process

KINDS = {"confirm", "first", "first without a worker", "cause"}
ADMIN_KEY = "the-key-of-an-operator"
NOTHING_FOUND = 1
"""Exit code of grep, where no response is marked."""
OF_TLS = "certificate-ending"
"""The runbook whose commands need TLS, which the servers of the tests lack."""


def test_every_block_of_commands_has_a_kind() -> None:
    kinds = {(path.stem, kind) for path in RUNBOOKS for kind, _ in blocks(path.stem)}
    assert {(runbook, kind) for runbook, kind in kinds if kind not in KINDS} == set()


def test_every_runbook_with_commands_is_followed_in_its_state() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_runbooks_of_*.py"))
    followed = set(re.findall(r'"([a-z-]+)"', sources))
    assert {path.stem for path in RUNBOOKS if blocks(path.stem)} <= followed


@needs_clients
@pytest.mark.slow
@pytest.mark.usefixtures("backends")
async def test_commands_run_where_all_is_well(settings: Settings) -> None:
    with uvicorn_serving(settings.model_copy(update={"admin_key": SecretStr(ADMIN_KEY)})) as api:
        async with worker_process(settings) as worker:
            await worker.wait_until_responding("/readyz")
            for runbook in (path.stem for path in RUNBOOKS if path.stem != OF_TLS):
                for kind in {"confirm", "cause"} & {kind for kind, _ in blocks(runbook)}:
                    shown = await run(
                        runbook, kind, settings, api=api, worker=worker.url, ADMIN_KEY=ADMIN_KEY,
                        # Redis of the tests has no append-only file.
                        codes=(ExitCode.DONE, ExitCode.DIFFERS, NOTHING_FOUND),
                    )  # fmt: skip
                    assert not re.search("^(ERROR|error)|psql:", shown, re.MULTILINE), runbook
