"""The fault matrix holds, cell by cell, on real processes; and its page is made of it."""

import asyncio
from collections.abc import Awaitable, Mapping
from pathlib import Path
from signal import SIGTERM

import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from indexer.backends import open_backends
from indexer.rebuild.reindex import reindex
from scripts import sample_data
from scripts.drill.load_generator import load_client
from tests.conftest import TODAY, empty
from tests.fault_injection import fault_matrix
from tests.fault_injection.cell_check import CellCheck
from tests.fault_injection.fault_matrix import ELSEWHERE, FAULTS, SENSELESS, Fault
from tests.fault_injection.faults import ADMIN_KEY, System, provoked, running_system
from tests.fault_injection.probes import HTTP_OPERATIONS, Probes
from tests.support.eventually import eventually
from tests.support.full_pipe import full_pipe
from tests.support.http_client import http_client
from tests.support.processes import START_SECONDS
from tests.support.sync import ignore_progress

DEPARTURES = 300

ODD_RESPONSE_TIMES = text("SELECT count(*) FROM recommendation_requests WHERE response_time_ms NOT BETWEEN 0 AND 60000")

QUICK: set[Fault] = {("Elasticsearch", "gone")}
CELLS = [
    pytest.param(
        fault,
        operation,
        marks=[pytest.mark.timeout(600), *([] if fault in QUICK else [pytest.mark.slow])],
        id=f"{': '.join(fault)}, {operation}",
    )
    for fault, row in FAULTS.items()
    for operation in row
]


def test_every_fault_is_in_one_table() -> None:
    listed = [*FAULTS, *ELSEWHERE, *SENSELESS]
    assert sorted(listed) == sorted(fault_matrix.all_faults())


def test_page_is_made_of_the_matrix() -> None:
    assert fault_matrix.PAGE.read_text() == fault_matrix.page(), "run `make generate`"


@pytest.fixture(scope="module")
async def catalogue_with_index(settings: Settings, engine: AsyncEngine, redis: Redis) -> Settings:
    await empty(engine)
    await redis.flushdb()
    await sample_data.seed(settings.database_url, DEPARTURES, today=TODAY)
    await reindex(settings, ignore_progress)
    return settings


@pytest.fixture(scope="module")
def errors() -> dict[Fault, Mapping[str, str]]:
    """What went wrong, by fault and operation: each fault is provoked once, for all of its cells."""
    return {}


@pytest.mark.parametrize(("fault", "operation"), CELLS)
async def test_operation_under_the_fault_is_as_in_the_table(
    catalogue_with_index: Settings, errors: dict[Fault, Mapping[str, str]], tmp_path: Path, fault: Fault, operation: str
) -> None:
    if fault not in errors:
        errors[fault] = dict.fromkeys(FAULTS[fault], "the fault could not be provoked")
        errors[fault] = await provoke(catalogue_with_index, fault, tmp_path)
    assert errors[fault].get(operation) is None


async def provoke(settings: Settings, fault: Fault, folder: Path) -> Mapping[str, str]:
    """Provoke a fault, lift it, and provoke it again for the shutdown; return what went wrong, by operation."""
    errors: dict[str, str] = {}

    async def run(operation: str, check: Awaitable[None]) -> None:
        try:
            await check
        except AssertionError as error:
            errors.setdefault(operation, str(error))

    with full_pipe(folder / "log"):
        async with (
            running_system(settings, fault, folder) as system,
            open_backends(system.settings) as backends,
            load_client(system.api.url, Authorization=f"Bearer {ADMIN_KEY}") as client,
        ):
            probes = Probes(client, backends)
            await wait_until_ready(system, fault, probes)
            checks = {name: CellCheck(name, cell, probes) for name, cell in FAULTS[fault].items() if name != "shutdown"}
            async with provoked(system, fault):
                await asyncio.gather(*(run(name, check.during()) for name, check in checks.items()))
            await asyncio.gather(*(run(name, check.afterwards()) for name, check in checks.items()))
            await run("shutdown", assert_no_negative_durations(system, backends.postgres))
            async with provoked(system, fault):
                await run("shutdown", assert_ends(system, FAULTS[fault]["shutdown"].seconds))
    return errors


async def wait_until_ready(system: System, fault: Fault, probes: Probes) -> None:
    for process in system.processes:
        await process.wait_until_responding("/readyz")
    for operation in HTTP_OPERATIONS:
        await eventually(lambda name=operation: probes.works(name), START_SECONDS)  # type: ignore[misc]
    spots = await probes.change()
    await eventually(lambda: probes.finds(spots), START_SECONDS)

    async def replica_is_used() -> bool:
        return await probes.works("reads") and bool(system.replica.connections)

    if fault[0] == "replica":
        await eventually(replica_is_used, START_SECONDS)


async def assert_no_negative_durations(system: System, engine: AsyncEngine) -> None:
    for process in system.processes:
        async with http_client(process.url) as client:
            metrics = (await client.get("/metrics")).text
        samples = [line.rpartition(" ") for line in metrics.splitlines() if not line.startswith("#")]
        assert samples
        assert [name for name, _, value in samples if float(value) < 0] == []
    async with engine.connect() as connection:
        assert await connection.scalar(ODD_RESPONSE_TIMES) == 0


async def assert_ends(system: System, seconds: float) -> None:
    for process in system.processes:
        process.process.send_signal(SIGTERM)
    await eventually(lambda: all(each.process.returncode is not None for each in system.processes), seconds)
    codes = [each.process.returncode for each in system.processes]
    assert all(code in (0, -SIGTERM) for code in codes), codes
