"""A filled installation, two weight sets, and the command as a person at a terminal uses it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner, Result

from core.configuration.settings import Settings
from indexer.rebuild.reindex import reindex
from indexer.rollout.weight_sets import add
from scoring.weights import Weights
from scripts import sample_data
from scripts.cli import app
from tests.conftest import TODAY, empty
from tests.support.api.uvicorn_server import uvicorn_serving
from tests.support.processes import environment

SEARCHES: Sequence[dict[str, Any]] = (
    {},
    {"selected_continents": ["Asia"], "difficulty": 2},
    {"budget": 9000, "preferred_theme_ids": [1, 2]},
)

Replay = Callable[..., Awaitable[Result]]


@pytest.fixture(scope="module")
async def installation(settings: Settings, engine: AsyncEngine, redis: Redis) -> str:
    """Fill database and index; return the name of the live index."""
    await empty(engine)
    await redis.flushdb()
    await sample_data.seed(settings.database_url, 300, today=TODAY)
    async with engine.begin() as connection:
        await add(connection, "summer", Weights(continent=14), by="dana")
    return (await reindex(settings, lambda _progress: None)).name


@pytest.fixture(scope="module")
def api(settings: Settings, installation: str) -> Iterator[str]:
    # Without a cache there is no fallback for slow searches, of which a busy machine has some.
    own = {"rate_limit_enabled": False, "answer_cache_seconds": 0, "elasticsearch_seconds": 30}
    with uvicorn_serving(settings.model_copy(update=own)) as address:
        yield address


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Replay:
    for name, value in environment(settings, ELASTICSEARCH_SECONDS="30").items():
        monkeypatch.setenv(name, value)

    def invoke(*arguments: str) -> Awaitable[Result]:
        return asyncio.to_thread(CliRunner().invoke, app, ["replay", *arguments])

    return invoke


def read_report(ran: Result) -> dict[str, Any]:
    """Return what the command printed as JSON; the API of the test logs to the same stream before."""
    report: dict[str, Any]
    report, _ = json.JSONDecoder().raw_decode(ran.stdout, ran.stdout.index("{\n"))
    return report


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "searches.jsonl"
    path.write_text("".join(json.dumps(search) + "\n" for search in SEARCHES))
    return str(path)
