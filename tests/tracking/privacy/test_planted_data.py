"""What a person left anywhere is found nowhere after the erasure: every column, Redis key and document is searched."""

from collections.abc import AsyncIterator
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx2
import pytest
from elasticsearch import AsyncElasticsearch
from pydantic import SecretStr
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from tests.support.api.serving import serving
from tests.support.api.tokens import SECRET, claims, token
from tests.support.eventually import eventually
from tests.support.tracking.spellings import spellings
from tests.support.tracking.visits import drain, event
from tracking import stream
from tracking.privacy.append_only_file import rewrite_append_only_file
from tracking.privacy.erase import erase_user

EMAIL, NAME = "planted.person@example.org", "Planted Personname"
OTHER = "somebody.else@example.org"
PHONE, LAPTOP, STRANGER = UUID(int=0xA1), UUID(int=0xA2), UUID(int=0xB1)
SESSIONS = {browser: UUID(int=browser.int + 0x1000) for browser in (PHONE, LAPTOP, STRANGER)}
PLANTED = (
    *(spelling.lower() for spelling in spellings(EMAIL).values()),
    NAME.lower(),
    *(str(i) for b in (PHONE, LAPTOP) for i in (b, SESSIONS[b])),
    claims()["sub"],
)

SEARCH_SESSIONS = (None, EMAIL, NAME)
SEARCHES = 4 * (len(SEARCH_SESSIONS) + 1)
"""Searches of two browsers, before and after each identifies itself."""


@pytest.fixture
async def api(settings: Settings, database: AsyncEngine) -> AsyncIterator[httpx2.AsyncClient]:
    known = settings.model_copy(
        update={"supabase_jwt_secret": SecretStr(SECRET), "rate_limit_recommendations": "100/minute"}
    )
    async with serving(known) as client:
        yield client


class Visit:
    """What a person does in one browser."""

    def __init__(self, api: httpx2.AsyncClient, browser: UUID) -> None:
        self._api = api
        self._ids = {"anonymous_id": str(browser), "session_id": str(SESSIONS[browser])}

    async def post(
        self, path: str, *, logged_in: str | None = None, session: str | None = None, **body: object
    ) -> None:
        """`logged_in` is the address that a token proves."""
        headers = {"Authorization": f"Bearer {token(email=logged_in)}"} if logged_in else {}
        if path == "/api/v2/recommendations":
            headers["X-Session-ID"] = session or self._ids["session_id"]
        sent = self._ids | body
        assert (await self._api.post(path, json=sent, headers=headers)).is_success

    async def browse(self, *, logged_in: str | None = None) -> None:
        """Leave the address and the name in every field that takes a text."""
        for spelling in spellings(EMAIL).values():
            left = f"https://example.org/?user={spelling}&name={quote(NAME)}"
            fields = event(page_url=left, referrer=left, metadata={"user": EMAIL.upper(), "name": NAME}, **self._ids)
            await self.post("/api/events", logged_in=logged_in, **fields)
        for session in (*SEARCH_SESSIONS, self._ids["anonymous_id"].upper()):
            await self.post("/api/v2/recommendations", logged_in=logged_in, session=session)

    async def start(self, *, email: str | None = None) -> None:
        referrer = f"https://example.org/?mail={quote(EMAIL, safe='')}"
        await self.post("/api/session/start", email=email, referrer=referrer)


async def contents(engine: AsyncEngine, redis: Redis, es: AsyncElasticsearch, settings: Settings) -> dict[str, str]:
    """Return all tables, keys and documents as text."""
    found: dict[str, str] = {}
    async with engine.connect() as connection:
        tables = await connection.scalars(
            text(
                "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
                " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
            )
        )
        for table in tables.all():
            rows = await connection.scalars(text(f"SELECT stored::text FROM {table} AS stored"))
            found[table] = "\n".join(rows.all())
    async for key in redis.scan_iter():
        found[key.decode()] = str(await redis.dump(key))
    found["stream"] = str([entry async for entry in stream.scan(redis)])
    documents = await es.search(index=f"{settings.elasticsearch_alias}*", size=1000, ignore_unavailable=True)
    found["documents"] = str(documents["hits"]["hits"])
    return found


async def places(engine: AsyncEngine, redis: Redis, es: AsyncElasticsearch, settings: Settings) -> set[tuple[str, str]]:
    return {
        (place, planted)
        for place, content in (await contents(engine, redis, es, settings)).items()
        for planted in PLANTED
        if planted in f"{place} {content}".lower()
    }


@pytest.mark.parametrize("first", [PHONE, LAPTOP])
@pytest.mark.parametrize("in_between", [True, False], ids=["stored at once", "stored at the end"])
async def test_nothing_planted_is_left(
    settings: Settings,
    database: AsyncEngine,
    redis: Redis,
    es: AsyncElasticsearch,
    api: httpx2.AsyncClient,
    *,
    first: UUID,
    in_between: bool,
) -> None:
    """Two browsers, one of which logs in by token, and a stranger who mentions the person."""
    stranger = Visit(api, STRANGER)
    await stranger.post("/api/user/identify", logged_in=OTHER, email=OTHER)
    for browser in (first, PHONE if first == LAPTOP else LAPTOP):
        visit = Visit(api, browser)
        await visit.start(email=EMAIL if browser == PHONE else None)
        await visit.browse()
        if in_between:
            await drain(redis, database)
        by_token = EMAIL if browser == LAPTOP else None
        await visit.post("/api/user/identify", logged_in=by_token, email=EMAIL, name=NAME)
        await visit.browse(logged_in=by_token)
    await Visit(api, PHONE).post("/api/user/identify", email=OTHER)
    await stranger.start()
    await stranger.post("/api/events", **event(page_url=f"https://example.org/{EMAIL}", event_id=str(uuid4())))

    async def are_searches_logged() -> bool:
        waiting = [entry async for _, entry in stream.scan(redis) if entry.kind == stream.RECOMMENDATION]
        async with database.connect() as connection:
            stored = await connection.scalar(text("SELECT count(*) FROM recommendation_requests"))
        return len(waiting) + (stored or 0) == SEARCHES

    # Searches are logged in the background; one that came after the erasure would be found.
    await eventually(are_searches_logged)
    await drain(redis, database)
    assert await places(database, redis, es, settings)
    quick = settings.model_copy(update={"background_pool_seconds": 0.1, "postgres_connect_seconds": 0.1})
    assert await erase_user(quick, EMAIL)
    assert await places(database, redis, es, settings) == set()
    async with database.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM users")) == 1


async def test_append_only_file_is_rewritten(redis: Redis) -> None:
    assert await rewrite_append_only_file(redis)
