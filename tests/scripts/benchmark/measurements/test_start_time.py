"""The time that the benchmark measures is that until the API may be sent requests."""

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from indexer.rebuild.reindex import reindex
from scripts.benchmark.measurements.start_time import start_once, table
from scripts.errors import CliError
from tests.support.processes import environment


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_start_is_measured_until_the_process_is_ready(
    settings: Settings, database: AsyncEngine, tmp_path: Path
) -> None:
    await reindex(settings, lambda _progress: None)
    log = tmp_path / "start.log"
    start = start_once(environment(settings, LOG_FORMAT="json", DRAIN_SECONDS="0"), log)
    assert start.seconds > start.cpu_seconds / 2 > 0
    assert '"event": "ready"' in log.read_text()
    assert 0 < start.first_search_seconds < 10
    assert table([start]).row_count == 3


@pytest.mark.slow
async def test_process_that_cannot_start_is_named(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(CliError, match="has ended; its log is"):
        start_once(environment(settings, REDIS_URL="nonsense"), tmp_path / "start.log")
