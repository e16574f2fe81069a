"""A reindex does its work whatever becomes of its output."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.index import locks
from indexer.index.admin import live_index
from tests.fault_injection.api.test_log_destinations import DESTINATIONS
from tests.fault_injection.worker.conftest import SyncFixture
from tests.fault_injection.worker.worker_process import SOON
from tests.support.eventually import eventually
from tests.support.full_pipe import full_pipe
from tests.support.processes import SMARTTRIP, environment, running_process

QUICK = "full disk"


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Path]:
    with full_pipe(tmp_path / "output") as path:
        yield path


@pytest.mark.parametrize(
    "destination", [pytest.param(name, marks=() if name == QUICK else pytest.mark.slow) for name in DESTINATIONS]
)
async def test_reindex_swaps_the_index_whatever_becomes_of_its_output(
    sync: SyncFixture, pipe: Path, destination: str
) -> None:
    redirection = DESTINATIONS[destination].format(pipe=pipe)
    command = ("bash", "-c", f'exec "$@" {redirection}', "bash", SMARTTRIP, "reindex")

    async def is_done() -> bool:
        async with sync.backends.postgres.connect() as connection:
            is_rebuilding = await locks.is_rebuilding(connection)
        return not is_rebuilding and await live_index(sync.backends.elasticsearch, sync.backends.alias) != sync.index

    async with running_process(command, environment(sync.settings), port=0) as running:

        async def is_done_or_ended() -> bool:
            return running.process.returncode is not None or await is_done()

        await eventually(is_done_or_ended, SOON)
        assert await is_done()
