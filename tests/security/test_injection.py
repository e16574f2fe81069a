"""What clients write never becomes part of a statement or of a query, and comes back as it was written."""

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

from app.backends.database import Database
from app.tracking.records import MAX_SESSION_ID
from core.settings import Settings
from schemas.api.preferences import Preferences
from schemas.tables import BrowsingSession, Event, RecommendationRequest, User
from tests.support.api.serving import serving
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy
from tests.support.rows import rows
from tests.support.statements import Statements, recorded_statements
from tests.support.tracking.visits import drain
from tracking import stream

MARK = "zq7marker"
"""Stands in every hostile text, and nowhere else."""

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
class Ground:
    api: httpx2.AsyncClient
    statements: Statements = field(repr=False)
    database: AsyncEngine
    redis: Redis

    def assert_untouched(self) -> None:
        assert self.statements
        assert not any(MARK in statement for statement in self.statements)
        self.statements.clear()


@pytest.fixture
async def ground(unlimited: Settings, engine: AsyncEngine, redis: Redis, trip: int) -> AsyncIterator[Ground]:
    async with serving(unlimited, database=Database(engine)) as api:
        with recorded_statements(engine) as statements:
            yield Ground(api, statements, engine, redis)


def as_header(text: str) -> str:
    return re.sub(r"[^\x21-\x7e]", "", text)


async def latest(engine: AsyncEngine, table: Any) -> Any:
    return (await rows(engine, table))[-1]


@MANY
@given(text=texts)
async def test_texts_of_visitors_are_stored_as_they_came(ground: Ground, text: str) -> None:
    someone = {"session_id": str(uuid4()), "anonymous_id": str(uuid4())}
    headers = {"User-Agent": as_header(text)}
    started = await ground.api.post("/api/session/start", json={**someone, "referrer": text}, headers=headers)
    known = await ground.api.post("/api/user/identify", json={**someone, "name": text})
    assert (started.status_code, known.status_code) == (200, 200)
    session, user = await latest(ground.database, BrowsingSession), await latest(ground.database, User)
    assert (session.referrer, session.user_agent, user.name) == (text, headers["User-Agent"].strip(), text)
    ground.assert_untouched()


@MANY
@given(text=texts)
async def test_addresses_are_stored_as_they_came_or_refused(ground: Ground, text: str) -> None:
    email = f"{text}@example.org"
    known = await ground.api.post("/api/user/identify", json={"anonymous_id": str(uuid4()), "email": email})
    assert known.status_code in (200, 400)
    if known.status_code == 200:
        assert (await latest(ground.database, User)).email == email.lower()
        ground.assert_untouched()


@MANY
@given(text=texts)
async def test_texts_of_events_are_stored_as_they_came(ground: Ground, text: str) -> None:
    told = {"page_url": text, "referrer": text, "metadata": {text: [text, {text: text}]}}
    event = {"event_type": "page_view", "session_id": str(uuid4()), "anonymous_id": str(uuid4()), **told}
    assert (await ground.api.post("/api/events", json=event)).status_code == 202
    await drain(ground.redis, ground.database)
    stored = await latest(ground.database, Event)
    assert str(stored.session_id) == event["session_id"]
    assert {"page_url": stored.page_url, "referrer": stored.referrer, "metadata": stored.event_data} == told
    ground.assert_untouched()


@MANY
@given(text=texts)
async def test_what_is_looked_for_finds_nothing_else(ground: Ground, text: str) -> None:
    found = await ground.api.get("/api/evaluation/scenarios", params={"category": text})
    assert found.status_code == 400 or found.json()["count"] == 0
    ground.assert_untouched()


@MANY
@given(text=texts)
async def test_the_session_of_a_search_is_logged_as_it_came(ground: Ground, text: str) -> None:
    session = as_header(text)[:MAX_SESSION_ID]
    asked = await ground.api.post("/api/v2/recommendations", json={}, headers={"X-Session-ID": session})
    assert asked.status_code == 200

    async def is_on_its_way() -> bool:
        return await stream.length(ground.redis) > 0

    await eventually(is_on_its_way)
    await drain(ground.redis, ground.database)
    assert (await latest(ground.database, RecommendationRequest)).session_id == session
    ground.assert_untouched()


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


async def test_nothing_but_numbers_and_names_of_ours_reaches_elasticsearch(unlimited: Settings, trip: int) -> None:
    async with FaultProxy(unlimited.elasticsearch_url) as proxy:
        watched = unlimited.model_copy(update={"elasticsearch_url": proxy.url, "answer_cache_seconds": 0})
        async with serving(watched) as api:
            for field in FIELDS:
                for text, form in zip(BREAKERS, cycle(FORMS), strict=False):
                    answer = await api.post("/api/v2/recommendations", json={field: form(text + MARK)})
                    assert answer.status_code == (200 if field == MARK else 400)
            good = await api.post("/api/v2/recommendations", json={"selected_continents": ["Asia"], "budget": "5"})
            assert good.status_code == 200
    said = b"".join(bytes(connection.sent) for connection in proxy.connections)
    assert MARK.encode() not in said
    alias = unlimited.elasticsearch_alias.encode()
    assert set(HEADS.findall(said)) <= {
        b"POST /%b/_search?request_cache=false" % alias,
        b"POST /%b/_count" % alias,
        b"HEAD /_alias/%b" % alias,
    }


HEADS = re.compile(rb"((?:GET|HEAD|POST|PUT|DELETE) /\S*) HTTP/1\.1\r\n")


async def test_an_id_in_a_path_is_a_number_or_leads_nowhere(ground: Ground) -> None:
    for text in BREAKERS:
        for path in ("/api/countries/{}", "/api/v2/occurrences/{}", "/api/v2/templates/{}/occurrences"):
            answer = await ground.api.get(path.format(quote(f"1{text}{MARK}", safe="")))
            assert answer.status_code == 404
    assert ground.statements == []
