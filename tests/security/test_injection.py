"""Text of clients never becomes part of a statement or query, and is stored verbatim."""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx2
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from app.recommendations.trip_search.elasticsearch import search_path
from app.routes import ENDPOINTS
from core.configuration.settings import Settings
from schemas.api.preferences import Preferences
from schemas.tables import BrowsingSession, Event, RecommendationRequest, User
from tests.support.api.serving import serving
from tests.support.api.shared_database import database_on
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy
from tests.support.rows import rows
from tests.support.statements import Statements, recorded_statements
from tests.support.tracking.visits import drain
from tracking import stream

MARK = "zq7marker"
"""Part of every hostile text, and of nothing else."""

BREAKERS = (
    "'", "''", '"', "';", "'); DROP TABLE users; --", "' OR '1'='1", "\\", "\\'", "$1", "$$", "$$; --", ":name", "%s",
    "%(name)s", "{}", "{0}", "{{7*7}}", "${7*7}", "/*", "*/", "--", "E'\\x27'", "U&'\\0027'", "`", "\n;\n", "\r\n",
    "\t", "’", "ʼ", "＇", "\u202e", "\ufeff", '"}}', '{"$gt": ""}', '"],"query":{"match_all":{}}', "*", "?", "~",
    "_exists_:id", "OR id:*", "\\u0027", "\\u0000", "&lt;", "<script>", "🦄",
)  # fmt: skip

texts = st.tuples(
    st.sampled_from(BREAKERS), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
).map(lambda parts: f"{parts[0]}{MARK}{parts[1]}{parts[0]}")

MANY = hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@dataclass(frozen=True)
class InjectionTarget:
    api: httpx2.AsyncClient
    statements: Statements = field(repr=False)
    database: AsyncEngine
    redis: Redis

    def assert_statements_unaffected(self) -> None:
        assert self.statements
        assert not any(MARK in statement for statement in self.statements)
        self.statements.clear()


@pytest.fixture
async def target(unlimited: Settings, engine: AsyncEngine, redis: Redis, trip: int) -> AsyncIterator[InjectionTarget]:
    async with database_on(engine) as database, serving(unlimited, database=database) as api:
        with recorded_statements(engine) as statements:
            yield InjectionTarget(api, statements, engine, redis)


def as_header(text: str) -> str:
    return re.sub(r"[^\x21-\x7e]", "", text)


async def latest(engine: AsyncEngine, table: Any) -> Any:
    return (await rows(engine, table))[-1]


@MANY
@given(text=texts)
async def test_visitor_texts_are_stored_verbatim(target: InjectionTarget, text: str) -> None:
    visitor = {"session_id": str(uuid4()), "anonymous_id": str(uuid4())}
    headers = {"User-Agent": as_header(text)}
    started = await target.api.post("/api/session/start", json={**visitor, "referrer": text}, headers=headers)
    known = await target.api.post("/api/user/identify", json={**visitor, "name": text})
    assert (started.status_code, known.status_code) == (200, 200)
    session, user = await latest(target.database, BrowsingSession), await latest(target.database, User)
    assert (session.referrer, session.user_agent, user.name) == (text, headers["User-Agent"].strip(), text)
    target.assert_statements_unaffected()


@MANY
@given(text=texts)
async def test_email_is_stored_verbatim_or_rejected(target: InjectionTarget, text: str) -> None:
    email = f"{text}@example.org"
    known = await target.api.post("/api/user/identify", json={"anonymous_id": str(uuid4()), "email": email})
    assert known.status_code in (200, 400)
    if known.status_code == 200:
        assert (await latest(target.database, User)).email == email.lower()
        target.assert_statements_unaffected()


@MANY
@given(text=texts)
async def test_event_texts_are_stored_verbatim(target: InjectionTarget, text: str) -> None:
    texts = {"page_url": text, "referrer": text, "metadata": {text: [text, {text: text}]}}
    event = {"event_type": "page_view", "session_id": str(uuid4()), "anonymous_id": str(uuid4()), **texts}
    assert (await target.api.post("/api/events", json=event)).status_code == 202
    await drain(target.redis, target.database)
    stored = await latest(target.database, Event)
    assert str(stored.session_id) == event["session_id"]
    assert {"page_url": stored.page_url, "referrer": stored.referrer, "metadata": stored.event_data} == texts
    target.assert_statements_unaffected()


@MANY
@given(text=texts)
async def test_hostile_filter_matches_nothing(target: InjectionTarget, text: str) -> None:
    found = await target.api.get("/api/evaluation/scenarios", params={"category": text})
    assert found.status_code == 400 or found.json()["count"] == 0
    target.assert_statements_unaffected()


@MANY
@given(text=texts)
async def test_hostile_session_id_is_not_stored(target: InjectionTarget, text: str) -> None:
    session = as_header(text)[:MAX_HEADER]
    asked = await target.api.post("/api/v2/recommendations", json={}, headers={"X-Session-ID": session})
    assert asked.status_code == 200

    async def is_streamed() -> bool:
        return await stream.length(target.redis) > 0

    await eventually(is_streamed)
    await drain(target.redis, target.database)
    assert (await latest(target.database, RecommendationRequest)).session_id is None
    target.assert_statements_unaffected()


MAX_HEADER = 64

FIELDS = (*Preferences.model_fields, MARK)


FORMS: tuple[Callable[[str], object], ...] = (
    lambda text: text,
    lambda text: [text],
    lambda text: {text: text},
    lambda text: [{text: text}],
    lambda text: [5, text],
    lambda text: f"5{text}",
    lambda text: f"{text}5",
)


async def test_client_text_never_reaches_elasticsearch(unlimited: Settings, trip: int) -> None:
    async with FaultProxy(unlimited.elasticsearch_url) as proxy:
        proxied = unlimited.model_copy(update={"elasticsearch_url": proxy.url, "answer_cache_seconds": 0})
        async with serving(proxied) as api:
            for field in FIELDS:
                for text, form in zip(BREAKERS, cycle(FORMS), strict=False):
                    answer = await api.post("/api/v2/recommendations", json={field: form(text + MARK)})
                    assert answer.status_code == (200 if field == MARK else 400)
            good = await api.post("/api/v2/recommendations", json={"selected_continents": ["Asia"], "budget": "5"})
            assert good.status_code == 200
    sent = b"".join(bytes(connection.sent) for connection in proxy.connections)
    assert MARK.encode() not in sent
    alias = unlimited.search_alias.encode()
    assert set(HEADS.findall(sent)) <= {
        b"POST " + search_path(unlimited.search_alias, cached=False).encode(),
        b"POST /%b/_count" % alias,
        b"GET /_alias/%b" % alias,
    }


PATHS_WITH_ID = [endpoint.path for endpoint in ENDPOINTS if endpoint.method == "GET" and "{id:int}" in endpoint.path]
HEADS = re.compile(rb"((?:GET|HEAD|POST|PUT|DELETE) /\S*) HTTP/1\.1\r\n")


async def test_id_in_path_that_is_no_number_is_not_found(target: InjectionTarget) -> None:
    for text in BREAKERS:
        for path in PATHS_WITH_ID:
            answer = await target.api.get(path.replace("{id:int}", quote(f"1{text}{MARK}", safe="")))
            assert answer.status_code == 404
    assert target.statements == []
