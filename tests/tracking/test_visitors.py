"""Identification of visitors, and that nobody can take over another user."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from pydantic import SecretStr
from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from schemas.tables import BrowsingSession, User
from tests.support.api.serving import serving
from tests.support.api.tokens import SECRET, token
from tests.support.rows import rows
from tests.support.tracking.visits import PERSON, SESSION

DANA = "dana@example.org"


@pytest.fixture
async def api(settings: Settings, database: AsyncEngine) -> AsyncIterator[httpx2.AsyncClient]:
    known = settings.model_copy(update={"supabase_jwt_secret": SecretStr(SECRET)})
    async with serving(known) as client:
        yield client


async def ask(api: httpx2.AsyncClient, path: str, body: dict[str, Any], as_user: str | None = None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token(email=as_user)}"} if as_user else {}
    response = await api.post(path, json=body, headers=headers)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    assert answer.pop("success") is True
    return answer


async def start(api: httpx2.AsyncClient, *, as_user: str | None = None, **body: Any) -> dict[str, Any]:
    return await ask(api, "/api/session/start", {"session_id": SESSION, "anonymous_id": PERSON, **body}, as_user)


async def identify(api: httpx2.AsyncClient, *, as_user: str | None = None, **body: Any) -> dict[str, Any]:
    return await ask(api, "/api/user/identify", {"anonymous_id": PERSON, **body}, as_user)


async def add_user(engine: AsyncEngine, **values: Any) -> int:
    async with engine.begin() as connection:
        new = insert(User).values({"anonymous_id": uuid4()} | values).returning(User.id)
        user_id: int = (await connection.execute(new)).scalar_one()
    return user_id


async def user(engine: AsyncEngine, user_id: int) -> dict[str, Any]:
    return next(dict(row._mapping) for row in await rows(engine, User) if row.id == user_id)


async def test_new_visitor_becomes_a_user(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    answer = await start(api, device_type="tablet", referrer="https://example.org/")
    (visitor,), (session,) = await rows(database, User), await rows(database, BrowsingSession)
    assert answer == {"user_id": visitor.id, "session_id": SESSION, "is_new_session": True}
    assert (str(visitor.anonymous_id), visitor.email, visitor.is_registered) == (PERSON, None, False)
    assert (visitor.total_sessions, visitor.total_searches, visitor.total_clicks) == (1, 0, 0)
    assert (session.user_id, str(session.session_id), str(session.anonymous_id)) == (visitor.id, SESSION, PERSON)
    assert (session.device_type, session.referrer) == ("tablet", "https://example.org/")
    assert session.user_agent.startswith("python-httpx")
    assert (session.search_count, session.click_count, session.save_count, session.contact_count) == (0, 0, 0, 0)
    assert (session.ended_at, session.duration_seconds) == (None, None)


async def test_open_session_is_unchanged(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    first = await start(api, device_type="mobile")
    before = await rows(database, User), await rows(database, BrowsingSession)
    again = await start(api, anonymous_id=str(uuid4()), device_type="desktop", email=DANA)
    assert again == first | {"is_new_session": False}
    assert (await rows(database, User), await rows(database, BrowsingSession)) == before


async def test_ended_session_is_restarted(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    first = await start(api)
    async with database.begin() as connection:
        await connection.execute(update(BrowsingSession).values(ended_at=datetime.now(UTC), duration_seconds=5))
    assert await start(api) == first
    (session,), (visitor,) = await rows(database, BrowsingSession), await rows(database, User)
    assert (session.ended_at, session.duration_seconds) == (None, None)
    assert visitor.total_sessions == 2


async def test_returning_visitor_is_the_same_user(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    first = await start(api)
    again = await start(api, session_id=str(uuid4()))
    assert again["user_id"] == first["user_id"]
    assert again["is_new_session"] is True
    assert (await user(database, first["user_id"]))["total_sessions"] == 2


async def test_token_outranks_anonymous_id(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    dana = await add_user(database, email=DANA)
    await add_user(database, anonymous_id=UUID(PERSON))
    assert (await start(api, as_user=DANA))["user_id"] == dana
    assert (await user(database, dana))["is_registered"] is True


async def test_anonymous_id_outranks_email(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    dana = await add_user(database, email=DANA)
    visitor = await add_user(database, anonymous_id=UUID(PERSON))
    assert (await start(api, email=DANA))["user_id"] == visitor
    assert (await user(database, visitor))["email"] is None
    assert dana != visitor


async def test_unverified_email_finds_unchanged_user(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    dana = await add_user(database, email=DANA, name="Dana")
    before = await user(database, dana)
    assert (await start(api, email=DANA))["user_id"] == dana
    after = await user(database, dana)
    seen = ("last_seen_at", "updated_at", "total_sessions")
    assert {name: after[name] for name in after if name not in seen} == {
        name: before[name] for name in before if name not in seen
    }


async def test_token_sets_address_of_visitor(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    visitor = await add_user(database, anonymous_id=UUID(PERSON))
    assert (await start(api, as_user=DANA))["user_id"] == visitor
    after = await user(database, visitor)
    assert (after["email"], after["is_registered"]) == (DANA, True)


async def test_token_creates_registered_user(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    created = await user(database, (await start(api, as_user="Dana@Example.ORG"))["user_id"])
    assert (created["email"], created["is_registered"]) == (DANA, True)


@pytest.mark.parametrize("ask", [start, identify])
async def test_two_people_in_one_browser_are_two_users(
    api: httpx2.AsyncClient, database: AsyncEngine, ask: Callable[..., Awaitable[dict[str, Any]]]
) -> None:
    dan = await add_user(database, anonymous_id=UUID(PERSON), email="dan@example.org", is_registered=True)
    dana = (await ask(api, as_user=DANA))["user_id"]
    assert dana != dan
    assert (await user(database, dan))["email"] == "dan@example.org"
    assert (await user(database, dana))["email"] == DANA
    assert (await ask(api, as_user="dan@example.org", session_id=str(uuid4())))["user_id"] == dan


async def test_verified_address_replaces_unverified(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    visitor = (await identify(api, email="typo@example.org"))["user_id"]
    assert (await start(api, as_user=DANA))["user_id"] == visitor
    assert (await user(database, visitor))["email"] == DANA


@pytest.mark.parametrize("email", ["a" * 300 + "@example.org", "no address", "a\0@example.org"])
async def test_invalid_address_in_token_is_ignored(api: httpx2.AsyncClient, database: AsyncEngine, email: str) -> None:
    created = await user(database, (await start(api, as_user=email))["user_id"])
    assert (created["email"], created["is_registered"]) == (None, False)


async def test_concurrent_starts_open_one_session(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    answers = await asyncio.gather(*(start(api, email=DANA) for _ in range(20)))
    (visitor,), (_,) = await rows(database, User), await rows(database, BrowsingSession)
    assert {answer["user_id"] for answer in answers} == {visitor.id}
    assert sum(answer["is_new_session"] for answer in answers) == 1
    assert visitor.total_sessions == 1


async def test_concurrent_starts_create_one_user(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    visits = [{"session_id": str(uuid4()), "anonymous_id": str(uuid4())} for _ in range(20)]
    answers = await asyncio.gather(*(start(api, as_user=DANA, **visit) for visit in visits))
    (visitor,) = await rows(database, User)
    assert {answer["user_id"] for answer in answers} == {visitor.id}
    assert (visitor.total_sessions, len(await rows(database, BrowsingSession))) == (20, 20)


async def test_identify_sets_name_and_address(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    visitor = (await start(api))["user_id"]
    assert await identify(api, email="Dana@Example.org", name="דנה") == {"user_id": visitor, "is_registered": False}
    after = await user(database, visitor)
    assert (after["email"], after["name"], after["is_registered"]) == (DANA, "דנה", False)


async def test_identify_creates_unknown_visitor(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    answer = await identify(api, email=DANA)
    created = await user(database, answer["user_id"])
    assert (str(created["anonymous_id"]), created["email"], created["total_sessions"]) == (PERSON, DANA, 0)


async def test_unverified_address_takes_over_no_user(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    dana = await add_user(database, email=DANA, is_registered=True)
    visitor = await add_user(database, anonymous_id=UUID(PERSON), name="Dan")
    before = await rows(database, User)
    for spelling in (DANA, "DANA@EXAMPLE.ORG"):
        answer = await identify(api, email=spelling, name="Eve")
        assert answer == {"user_id": visitor, "is_registered": False}
    assert await rows(database, User) == before
    assert dana != visitor


async def test_unknown_visitor_does_not_get_taken_address(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    dana = await add_user(database, email=DANA)
    answer = await identify(api, email=DANA)
    assert answer["user_id"] != dana
    assert (await user(database, answer["user_id"]))["email"] is None


async def test_token_does_not_verify_other_address(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    await add_user(database, email=DANA)
    visitor = await add_user(database, anonymous_id=UUID(PERSON))
    answer = await identify(api, as_user="eve@example.org", email=DANA)
    assert answer == {"user_id": visitor, "is_registered": False}
    assert (await user(database, visitor))["email"] is None


async def test_registered_user_is_renamed_only_with_token(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    await add_user(database, anonymous_id=UUID(PERSON), email=DANA, name="Dana", is_registered=True)
    before = await rows(database, User)
    assert (await identify(api, email="eve@example.org", name="Eve"))["is_registered"] is True
    assert await rows(database, User) == before


async def test_token_links_visitor_to_owner(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    dana = await add_user(database, email=DANA)
    visitor = (await start(api))["user_id"]
    assert await identify(api, as_user=DANA, email=DANA, name="Dana") == {"user_id": dana, "is_registered": True}
    (session,) = await rows(database, BrowsingSession)
    assert session.user_id == dana
    assert (await user(database, dana))["name"] == "Dana"
    assert (await user(database, visitor))["email"] is None


async def test_token_alone_identifies(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    visitor = (await start(api))["user_id"]
    assert await identify(api, as_user=DANA) == {"user_id": visitor, "is_registered": True}
    assert (await user(database, visitor))["email"] == DANA


async def test_concurrent_claims_give_address_to_one(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    answers = await asyncio.gather(*(identify(api, anonymous_id=str(uuid4()), email=DANA) for _ in range(20)))
    assert len({answer["user_id"] for answer in answers}) == 20
    assert [row.email for row in await rows(database, User) if row.email] == [DANA]


async def test_concurrent_logins_are_one_user(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    answers = await asyncio.gather(*(identify(api, as_user=DANA, anonymous_id=str(uuid4())) for _ in range(20)))
    assert {answer["is_registered"] for answer in answers} == {True}
    (dana,) = (row.id for row in await rows(database, User) if row.email)
    assert {answer["user_id"] for answer in answers} == {dana}


async def test_empty_field_is_ignored(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    known = await identify(api, email="dana@example.org", name="Dana")
    assert await identify(api, email="", name=" ") == known
    stored = await user(database, known["user_id"])
    assert (stored["email"], stored["name"]) == ("dana@example.org", "Dana")
    assert (await start(api, email=""))["user_id"] == known["user_id"]


async def test_invalid_address_is_described(api: httpx2.AsyncClient) -> None:
    answer = await api.post("/api/user/identify", json={"anonymous_id": PERSON, "email": "nobody"})
    assert answer.json()["error"] == "Please correct: email should be an e-mail address such as dana@example.org."


BAD = [
    ("/api/session/start", {"session_id": "x"}, "session_id"),
    ("/api/session/start", {"session_id": None}, "session_id"),
    ("/api/session/start", {"anonymous_id": 5}, "anonymous_id"),
    ("/api/session/start", {"device_type": "watch"}, "device_type"),
    ("/api/session/start", {"referrer": "a\0"}, "referrer"),
    ("/api/session/start", {"referrer": "a\0b"}, "referrer"),
    ("/api/session/start", {"email": "nobody"}, "email"),
    ("/api/session/start", {"email": "a\0@b.c"}, "email"),
    ("/api/user/identify", {"anonymous_id": ""}, "anonymous_id"),
    ("/api/user/identify", {"email": ["a@b.c"]}, "email"),
    ("/api/user/identify", {"email": "İ" * 200 + "@b.c"}, "email"),
    ("/api/user/identify", {"name": "x" * 101}, "name"),
    ("/api/user/identify", {"name": "\0"}, "name"),
]


@pytest.mark.parametrize(("path", "change", "field"), BAD)
async def test_invalid_values_are_named(
    api: httpx2.AsyncClient, database: AsyncEngine, path: str, change: dict[str, Any], field: str
) -> None:
    response = await api.post(path, json={"session_id": SESSION, "anonymous_id": PERSON} | change)
    assert response.status_code == 400, response.text
    assert [detail["field"] for detail in response.json()["details"]] == [field]
    assert await rows(database, User) == []


@pytest.mark.parametrize(
    ("address", "kept"),
    [("203.0.113.77", "203.0.113.0/24"), ("2001:db8:1:2::5", "2001:db8:1::/48"), ("0.0.0.0", None)],
)
async def test_only_the_network_of_an_address_is_stored(
    settings: Settings, database: AsyncEngine, address: str, kept: str | None
) -> None:
    trusting = settings.model_copy(update={"trusted_proxies": ["127.0.0.1/32"]})
    async with serving(Settings.model_validate(trusting.model_dump())) as api:
        body = {"session_id": SESSION, "anonymous_id": PERSON}
        response = await api.post("/api/session/start", json=body, headers={"X-Forwarded-For": address})
        assert response.status_code == 200
    (session,) = await rows(database, BrowsingSession)
    assert session.ip_address == kept if kept is None else str(session.ip_address) == kept


async def test_untrusted_forwarded_address_is_ignored(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    body = {"session_id": SESSION, "anonymous_id": PERSON}
    await api.post("/api/session/start", json=body, headers={"X-Forwarded-For": "203.0.113.77"})
    (session,) = await rows(database, BrowsingSession)
    assert str(session.ip_address) == "127.0.0.0/24"
