"""Every series of both processes exists from the start, and requests add none."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.ext.asyncio import AsyncEngine

from app.routes import ENDPOINTS
from core.configuration.settings import Settings
from tests.docs.documents import table
from tests.support.api.serve_process import serve_process
from tests.support.api.tokens import token
from tests.support.http_client import http_client
from tests.support.processes import RunningProcess, worker_process

METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS", "MADE_UP")
MOST_SERIES = {"## API": 6700, "## Worker": 900}
"""How many series a process may export, by the heading of its metrics in the reference."""

BY_REPLICA = {"smarttrip_replica_lag_seconds"}
"""Metrics without series where no replica is configured."""

NAMES_THE_INDEX = "smarttrip_index_info"
"""The one metric whose series is replaced, when another index is in use: it is named by a label."""

SET_BY_PROMETHEUS = {"job", "instance"}
"""Labels that Prometheus sets by itself: it renames those of a process to `exported_job` and the like."""

Series = tuple[str, frozenset[tuple[str, str]]]


@asynccontextmanager
async def worker(settings: Settings) -> AsyncIterator[RunningProcess]:
    async with worker_process(settings) as running:
        await running.wait_until_responding()
        yield running


PROCESSES = [
    pytest.param("## API", serve_process, id="API"),
    pytest.param("## API", lambda settings: serve_process(settings, WORKERS="2"), id="two", marks=pytest.mark.slow),
    pytest.param("## Worker", worker, id="worker"),
]


async def scrape(client: httpx2.AsyncClient) -> str:
    return (await client.get("/metrics")).text


def series(exported: str) -> set[Series]:
    return {
        (sample.name, frozenset(sample.labels.items()))
        for family in text_string_to_metric_families(exported)
        for sample in family.samples
        if sample.name.startswith("smarttrip_") and sample.name != NAMES_THE_INDEX
    }


def indexes(exported: str) -> list[str]:
    return re.findall(rf"^{NAMES_THE_INDEX}{{.+}}", exported, re.MULTILINE)


def without_series(exported: str) -> list[str]:
    return [family.name for family in text_string_to_metric_families(exported) if not family.samples]


def misnamed(exported: str) -> list[str]:
    """Return the names of gauges that are named like counters, and of metrics with labels that Prometheus sets."""
    found = list(text_string_to_metric_families(exported))
    gauges = [family.name for family in found if family.type == "gauge" and family.name.endswith("_total")]
    return gauges + [
        sample.name for family in found for sample in family.samples if SET_BY_PROMETHEUS & {*sample.labels}
    ]


def families(exported: str) -> set[str]:
    lines = (line.split() for line in exported.splitlines())
    return {words[2] for words in lines if words[:2] == ["#", "TYPE"] and words[2].startswith("smarttrip_")}


@pytest.mark.parametrize(("heading", "start"), PROCESSES)
async def test_every_series_exists_from_the_start(
    settings: Settings, database: AsyncEngine, heading: str, start: object
) -> None:
    async with start(settings) as running, http_client(running.url, timeout=20) as client:  # type: ignore[operator]
        exported = await scrape(client)
        await send_odd_requests(client)
        later = await scrape(client)
    assert set(without_series(exported)) <= BY_REPLICA
    assert misnamed(exported) == []
    assert families(exported) | (BY_REPLICA if heading == "## API" else set()) == {
        name.strip("`") for name, *_ in table("docs/reference/metrics.md", heading)
    }
    assert series(later) == series(exported)
    assert len(indexes(exported)) == len(indexes(later)) == (heading == "## Worker")
    assert len(series(exported)) <= MOST_SERIES[heading]


async def send_odd_requests(client: httpx2.AsyncClient) -> None:
    for path in {endpoint.path.replace("{id:int}", "1") for endpoint in ENDPOINTS} | {"/api/nothing/such"}:
        for number, method in enumerate(METHODS):
            headers = {"Authorization": f"Bearer {token()}{number}", "Content-Type": "application/json"}
            await client.request(method, f"{path}?page=x", headers=headers, content=b"x" * 20_000 * (number % 2))
