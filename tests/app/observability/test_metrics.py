import os
import re
import signal

import httpx2
import pytest

from core.configuration.settings import Settings
from tests.support.api.serve_process import serve_process
from tests.support.eventually import eventually
from tests.support.http_client import http_client


async def test_each_worker_process_exports_metrics_of_all(settings: Settings) -> None:
    async with serve_process(settings, WORKERS="2") as serving:
        # One connection per request, so that both processes serve some.
        requests = 40
        for _ in range(requests):
            async with httpx2.AsyncClient() as client:
                await client.get(f"{serving.url}/api/nothing")

        async def both_export_all() -> bool:
            exports = []
            for _ in range(8):
                async with httpx2.AsyncClient() as client:
                    exports.append((await client.get(f"{serving.url}/metrics")).text)
            counted = 'smarttrip_http_request_seconds_count{method="GET",route="unknown",status="404"}'
            return all(f"{counted} {requests}.0" in text for text in exports)

        await eventually(both_export_all)


PER_PROCESS = (
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
    "process_open_fds",
    "process_start_time_seconds",
    "smarttrip_process_event_loop_lag_seconds",
    "smarttrip_process_gc_pause_seconds",
)


@pytest.mark.slow
async def test_killed_process_leaves_counters_but_no_gauges(settings: Settings) -> None:
    async with serve_process(settings, WORKERS="2") as serving, http_client(serving.url) as client:

        async def metrics() -> str:
            return (await client.get("/metrics")).text

        async def both_run() -> bool:
            return len(pids(await metrics())) == 2

        await eventually(both_run, within=60)
        for name in PER_PROCESS:
            assert len(set(re.findall(rf'^{name}{{pid="(\d+)"}}', await metrics(), re.MULTILINE))) == 2
        await client.get("/api/nothing")
        count = 'smarttrip_http_request_seconds_count{method="GET",route="unknown",status="404"}'

        async def counted() -> bool:
            return f"{count} 1.0" in await metrics()

        # A process that is killed loses what it has not written yet.
        await eventually(counted)
        before = await metrics()
        (killed, *_) = pids(before)
        os.kill(int(killed), signal.SIGKILL)

        async def replaced() -> bool:
            try:
                left = pids(await metrics())
            except httpx2.TransportError:
                return False
            return killed not in left and len(left) == 2

        await eventually(replaced, within=60)
        await eventually(counted)
        assert "smarttrip_http_requests_in_flight 1.0" in await metrics()


def pids(exported: str) -> list[str]:
    return sorted(set(re.findall(r'pid="(\d+)"', exported)))
