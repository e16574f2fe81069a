"""Whatever becomes of the collector of traces, requests and the end of the process go on."""

from signal import SIGTERM

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from scripts.dev_stack.ports import free_port
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy, Mode
from tests.support.http_client import http_client
from tests.support.otlp import collecting
from tests.support.processes import SMARTTRIP, environment, running_process

pytestmark = pytest.mark.slow

STOP_SECONDS = 20
REQUESTS = 500
LIMITS = {"OTEL_BSP_MAX_QUEUE_SIZE": "100", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "50", "OTEL_BSP_SCHEDULE_DELAY": "50"}
"""Small enough that the queue is full long before the last request."""


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("mode", Mode)
async def test_api_works_and_ends_whatever_becomes_of_the_collector(
    settings: Settings, database: AsyncEngine, mode: Mode, workers: int
) -> None:
    port = free_port()
    with collecting() as collector:
        async with FaultProxy(collector.url) as proxy:
            env = environment(
                settings, OTEL_EXPORTER_OTLP_ENDPOINT=proxy.url, PORT=str(port), WORKERS=str(workers), **LIMITS
            )
            async with running_process((SMARTTRIP, "serve"), env, port=port) as running:
                await running.wait_until_responding()
                async with http_client(running.url) as client:
                    await client.get("/api/countries")
                    await eventually(lambda: bool(collector.spans))
                    proxy.mode = mode
                    for _ in range(REQUESTS):
                        assert (await client.get("/api/countries")).status_code == 200
                running.process.send_signal(SIGTERM)
                await eventually(lambda: running.process.returncode is not None, within=STOP_SECONDS)
                assert running.process.returncode in (0, -SIGTERM)
