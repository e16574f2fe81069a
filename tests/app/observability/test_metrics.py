import httpx2

from core.settings import Settings
from tests.support.api.serve_process import serve_process
from tests.support.eventually import eventually


async def test_an_api_process_does_not_tell_of_a_worker_that_stands_still(settings: Settings) -> None:
    async with serve_process(settings) as serving, httpx2.AsyncClient() as client:
        told = (await client.get(f"{serving.url}/metrics")).text
    figures = [line for line in told.splitlines() if not line.startswith("#")]
    assert "smarttrip_outbox_rows 0.0" in figures
    assert not [line for line in figures if line.startswith("smarttrip_feed_progress_timestamp_seconds")]


async def test_one_of_several_worker_processes_tells_the_figures_of_all(settings: Settings) -> None:
    async with serve_process(settings, WORKERS="2") as serving:
        # A connection of its own for each request, so that both processes get some.
        asked = 40
        for _ in range(asked):
            async with httpx2.AsyncClient() as client:
                await client.get(f"{serving.url}/api/nothing")

        async def both_tell_all() -> bool:
            told = []
            for _ in range(8):
                async with httpx2.AsyncClient() as client:
                    told.append((await client.get(f"{serving.url}/metrics")).text)
            counted = 'smarttrip_http_request_seconds_count{method="GET",route="unknown",status="404"}'
            return all(f"{counted} {asked}.0" in text for text in told)

        await eventually(both_tell_all)
