"""Whatever settings a cluster has, searches are right or marked, changes wait, and a reindex works or is refused.

Ranges over every setting that Elasticsearch lists and changes while it runs.
"""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from elasticsearch import AsyncElasticsearch, BadRequestError
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from core.errors import BACKEND_ERRORS
from indexer.backends import Backends, open_backends
from indexer.errors import IndexCreationError, IndexerError
from indexer.feed.batch import process_batch
from indexer.index import admin
from indexer.preflight.comparison import compare_index
from indexer.rebuild.reindex import reindex
from indexer.supervisor import IndexSupervisor
from schemas.tables import DeadLetter
from scripts import sample_data
from scripts.commands.errors import describe_error
from scripts.dev_stack.elasticsearch.service import ELASTICSEARCH
from scripts.drill.servers import server
from tests.app.test_column_types import SEARCHES
from tests.conftest import TODAY
from tests.support.api.serving import serving
from tests.support.eventually import eventually
from tests.support.rows import rows
from tests.support.sync import assert_in_sync, drain, execute, ignore_progress, indexed

pytestmark = pytest.mark.slow

BREAKS_ELASTICSEARCH = {"indices.recovery.chunk_size"}
"""Elasticsearch accepts a value of it that its nodes cannot apply, and has no master from then on."""
CHANGE = "UPDATE trip_occurrences SET spots_left = spots_left + :step WHERE id = 1"
ODD_VALUES: dict[str, Sequence[Any]] = {
    "true": (False,),
    "false": (True,),
    r"\d.*%": ("0%", "1%"),
    r"\d.*b": ("0b", "1b"),
    r"\d.*[smhd]": ("0ms", "1ms"),
    r"-?[\d.E-]+": (0, 1, "1ms"),
    ".*": ("none", "primaries", "new_primaries", "all", "metadata_write", "missing"),
}
"""By the form of the default, the first that fits."""

Search = tuple[int, bool, Any]
"""Status, whether the response is marked as degraded, and what it says."""


def odd_values(default: Any) -> Sequence[Any]:
    """Return values that are as far as possible from the default; Elasticsearch does not take all of them."""
    if not isinstance(default, str):
        return [["missing"]]
    return next(values for form, values in ODD_VALUES.items() if re.fullmatch(form, default))


@dataclass(frozen=True)
class Installation:
    settings: Settings
    backends: Backends
    api: httpx2.AsyncClient

    @property
    def es(self) -> AsyncElasticsearch:
        return self.backends.elasticsearch

    async def dynamic_settings(self) -> dict[str, Any]:
        """Return the defaults of the settings that may be changed."""
        found = await self.es.cluster.get_settings(include_defaults=True, flat_settings=True)
        return {
            name: default
            for name, default in sorted(found["defaults"].items())
            if name not in BREAKS_ELASTICSEARCH and await self.set(name, None)
        }

    async def set(self, name: str, value: Any) -> bool:
        """Set a setting, None for the default; return whether Elasticsearch takes it."""
        try:
            await self.es.cluster.put_settings(persistent={name: value})
        except BadRequestError:
            return False
        return True

    async def search(self) -> list[Search]:
        responses = [await self.api.post("/api/v2/recommendations", json=body) for body in SEARCHES]
        return [
            (response.status_code, "warning" in response.headers, response.json().get("data")) for response in responses
        ]

    async def change(self, step: int) -> None:
        await execute(self.backends.postgres, CHANGE, step=step)

    async def try_batch(self) -> None:
        """Process a batch; what Elasticsearch does not take waits."""
        try:
            await process_batch(self.backends, retry=True)
            await IndexSupervisor(self.settings, self.backends).check()
        except (IndexerError, *BACKEND_ERRORS) as error:
            assert describe_error(error) is not None  # noqa: PT017  # of whatever kind it is

    async def refusal(self) -> Exception | None:
        """Reindex; return the error by which that was refused."""
        try:
            await reindex(self.settings, ignore_progress)
        except (IndexerError, *BACKEND_ERRORS) as error:
            return error
        return None


@pytest.fixture
async def installation(settings: Settings, database: AsyncEngine, redis: Redis) -> AsyncIterator[Installation]:
    """An installation with an Elasticsearch of its own: settings of a cluster are everybody's."""
    await sample_data.seed(settings.database_url, 300, today=TODAY)
    async with server(ELASTICSEARCH) as elasticsearch:
        own = settings.model_copy(
            update={"elasticsearch_url": elasticsearch.url, "answer_cache_seconds": 0, "rate_limit_enabled": False}
        )
        await reindex(own, ignore_progress)
        async with open_backends(own) as backends, serving(own) as api:
            yield Installation(own, backends, api)


async def assert_right_while_set(installation: Installation, name: str, before: list[Search]) -> None:
    backends = installation.backends
    for (status, is_degraded, found), (_, _, expected) in zip(await installation.search(), before, strict=True):
        assert status == 200
        assert is_degraded or found == expected
    await installation.change(1)
    await installation.try_batch()
    assert await rows(backends.postgres, DeadLetter) == []
    live = await admin.indices_of(installation.es, backends.alias) if "breaker" not in name else None
    refusal = await installation.refusal()
    if refusal is None:
        return
    described = describe_error(refusal)
    assert described is not None
    assert described.code != 0
    if isinstance(refusal, IndexCreationError):
        assert name in described.sentence
        assert await admin.indices_of(installation.es, backends.alias) == live
    if name.startswith("cluster.blocks."):
        assert any(name in difference for difference in await compare_index(installation.settings))


async def assert_healed(installation: Installation, ids: set[int], before: list[Search]) -> None:
    backends = installation.backends
    assert set(await indexed(backends)) == ids
    await installation.change(-1)

    async def is_drained() -> bool:
        try:
            return await drain(backends) is not None
        except (AssertionError, IndexerError, *BACKEND_ERRORS):
            return False

    async def is_as_before() -> bool:
        return await installation.search() == before

    await eventually(is_drained, within=40)
    await IndexSupervisor(installation.settings, backends).check()
    await assert_in_sync(installation.settings)
    await eventually(is_as_before, within=30)
    assert len(await admin.all_names(installation.es, backends.alias)) <= 2


@pytest.mark.timeout(2400)
async def test_cluster_settings_spoil_nothing(installation: Installation) -> None:
    before = await installation.search()
    assert not any(is_degraded for _, is_degraded, _ in before)
    ids = set(await indexed(installation.backends))
    for name, default in (await installation.dynamic_settings()).items():
        for value in odd_values(default):
            if not await installation.set(name, value):
                continue
            try:
                await assert_right_while_set(installation, name, before)
            except AssertionError as error:
                raise AssertionError(f"{name} = {value}: {error}") from error
            finally:
                assert await installation.set(name, None)
            try:
                await assert_healed(installation, ids, before)
            except AssertionError as error:
                raise AssertionError(f"after {name} = {value}: {error}") from error
