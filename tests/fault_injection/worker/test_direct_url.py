"""The database behind the pooler is exchanged for another one, as after a restore, while a worker runs."""

import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from scripts.dev_stack.ports import free_port
from tests.conftest import plain
from tests.fault_injection.worker.conftest import SyncFixture
from tests.fault_injection.worker.test_rebuilds import index_names
from tests.fault_injection.worker.worker_process import SOON
from tests.support.database_copies import copy_database
from tests.support.eventually import eventually
from tests.support.pgbouncer import BINARY, Pooler, pgbouncer
from tests.support.processes import environment, responds, running_process

pytestmark = pytest.mark.skipif(BINARY is None, reason="needs PgBouncer: apt-get install pgbouncer")

WORKER_THAT_COMPARES_OFTEN = """
from indexer.index import direct_url
from scripts.cli import main
direct_url.WATCH_SECONDS = direct_url.CONFIRM_SECONDS = 0.5
main()
"""


@pytest.fixture
async def pooler(sync: SyncFixture) -> AsyncIterator[Pooler]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        async with pgbouncer(sync.settings.database_url, Path(folder) / "pgbouncer") as running:
            yield running


async def test_worker_whose_pooler_leads_to_another_database_stops_with_a_sentence(
    sync: SyncFixture, pooler: Pooler, tmp_path: Path
) -> None:
    name = make_url(sync.settings.database_url).database or ""
    # An older state: the worker takes a database like that for one that was restored, and would build an index of it.
    await copy_database(sync.settings, name, f"{name}_restored")
    port, output = free_port(), tmp_path / "output"
    own = sync.settings.model_copy(update={"database_url": pooler.url})
    env = environment(own, WORKER_PORT=str(port), DATABASE_DIRECT_URL=plain(sync.settings.database_url))
    command = (sys.executable, "-c", WORKER_THAT_COMPARES_OFTEN, "worker")
    async with running_process(command, env, port=port, output=output) as worker:
        await eventually(lambda: responds(f"{worker.url}/readyz"), SOON)
        await sync.wait_until_in_sync()
        before = await index_names(sync)
        pooler.lead_to(pooler.server, database=f"{name}_restored")
        await eventually(lambda: worker.process.returncode is not None, SOON)
    assert worker.process.returncode == 1
    sentence = "DATABASE_DIRECT_URL leads to another database than DATABASE_URL"
    assert [line for line in output.read_text().splitlines() if line.startswith(sentence)]
    assert await index_names(sync) == before
