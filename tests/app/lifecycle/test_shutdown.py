from signal import SIGINT, SIGTERM, Signals

import pytest

from core.configuration.settings import Settings
from scripts.errors import ExitCode
from tests.support.api.serve_process import serve_process
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.processes import responds


async def test_draining_process_serves_but_is_not_ready(settings: Settings, sample_index: None) -> None:
    async with (
        serve_process(settings, DRAIN_SECONDS="2") as serving,
        http_client(serving.url) as client,
    ):
        await eventually(lambda: responds(f"{serving.url}/readyz"))
        serving.process.send_signal(SIGTERM)

        async def drains() -> bool:
            return (await client.get("/readyz")).status_code == 503

        await eventually(drains)
        unready = await client.get("/readyz")
        assert unready.json()["code"] == "draining"
        response = await client.post("/api/v2/recommendations", json={})
        assert response.status_code == 200
        assert response.headers["connection"] == "close"
        assert await serving.process.wait() == 0


async def test_workers_exit_when_parent_is_killed(settings: Settings) -> None:
    async with serve_process(settings, WORKERS="2", DRAIN_SECONDS="0") as serving:
        serving.process.kill()

        async def stopped() -> bool:
            return not await responds(f"{serving.url}/livez")

        await eventually(stopped, within=30)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("number", "code"), [(SIGTERM, 0), (SIGINT, ExitCode.INTERRUPTED)])
async def test_exit_code_says_whether_somebody_interrupted(
    settings: Settings, workers: int, number: Signals, code: int
) -> None:
    async with serve_process(settings, WORKERS=str(workers), DRAIN_SECONDS="0") as serving:
        serving.process.send_signal(number)
        assert await serving.process.wait() == code
