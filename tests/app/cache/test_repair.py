"""After writes past the triggers, `verify --repair` outdates every cached list and entity."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from indexer.rebuild.verify import verify
from migrations.versions.r2_sync import WATCHED
from tests.app.routes.test_cached import ENDPOINTS
from tests.support.api.responses import get
from tests.support.api.serving import serving
from tests.support.eventually import eventually

COUNTS_ONLY = "/api/v2/schema-info"

CHANGED = ("name", "title", "notes")
"""Columns of texts that responses show; each table that is shown by itself has one of them."""


async def write_past_the_triggers(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        for watched in WATCHED:
            for column in {*watched.columns.split()} & {*CHANGED}:
                await connection.execute(
                    text(f"UPDATE {watched.table} SET {column} = coalesce({column}, '') || '!', updated_at = now()")
                )


@pytest.mark.usefixtures("sample_index")
async def test_repair_outdates_every_cached_response(settings: Settings, engine: AsyncEngine) -> None:
    paths = [path.replace("{id:int}", "1") for path in ENDPOINTS if path != COUNTS_ONLY]
    async with serving(settings) as api:
        before = {path: await get(api, path) for path in paths}
        await write_past_the_triggers(engine)
        await verify(settings, repair=True)

        async def is_outdated() -> bool:
            return all([await get(api, path) != before[path] for path in paths])

        await eventually(is_outdated)
