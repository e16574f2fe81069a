"""An address without a token gives access to no registered user, and reveals nothing about one."""

from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from sqlalchemy import Engine, event, insert
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from schemas.tables import BrowsingSession, Event, UnverifiedBrowser, User
from tests.support.api.serving import serving
from tests.support.api.tokens import SECRET, token
from tests.support.rows import rows
from tests.support.tracking.visits import drain
from tests.support.tracking.visits import event as page_view

DANA = "dana@example.org"
SPELLINGS = [DANA, "Dana@Example.org", "DANA@EXAMPLE.ORG"]
STRANGER, VICTIM = str(UUID(int=1)), str(UUID(int=2))
PATHS = ["/api/session/start", "/api/user/identify"]


@pytest.fixture
async def api(settings: Settings, database: AsyncEngine) -> AsyncIterator[httpx2.AsyncClient]:
    known = settings.model_copy(update={"supabase_jwt_secret": SecretStr(SECRET), "rate_limit_enabled": False})
    async with serving(known) as client:
        yield client


@pytest.fixture
def database_errors() -> Iterator[list[str]]:
    """Names of the errors that Postgres raises during the test, and writes to its log with the values."""
    errors: list[str] = []

    def record(context: ExceptionContext) -> None:
        errors.append(type(context.original_exception).__name__)

    event.listen(Engine, "handle_error", record)
    yield errors
    event.remove(Engine, "handle_error", record)


async def call(api: httpx2.AsyncClient, path: str, browser: str, *, as_user: str | None = None, **body: Any) -> int:
    """Return the id of the user of the response."""
    session = {"session_id": str(uuid4())} if path == PATHS[0] else {}
    headers = {"Authorization": f"Bearer {token(email=as_user)}"} if as_user else {}
    response = await api.post(path, json={"anonymous_id": browser, **session, **body}, headers=headers)
    assert response.status_code == 200, response.text
    user_id: int = response.json()["user_id"]
    return user_id


async def add_user(engine: AsyncEngine, **values: Any) -> int:
    async with engine.begin() as connection:
        new = insert(User).values({"anonymous_id": uuid4()} | values).returning(User.id)
        user_id: int = (await connection.execute(new)).scalar_one()
    return user_id


async def owners(engine: AsyncEngine, browser: str) -> set[int | None]:
    """Return the users of the browser's sessions and events."""
    tables = [*await rows(engine, BrowsingSession), *await rows(engine, Event)]
    return {row.user_id for row in tables if str(row.anonymous_id) == browser}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("stored", SPELLINGS)
@pytest.mark.parametrize("sent", SPELLINGS)
async def test_registered_address_is_as_if_unknown(
    api: httpx2.AsyncClient, database: AsyncEngine, database_errors: list[str], *, path: str, stored: str, sent: str
) -> None:
    dana = await add_user(database, email=stored, is_registered=True, name="Dana")
    (before,) = await rows(database, User)
    for browser in (STRANGER, STRANGER, VICTIM):
        assert await call(api, path, browser, email=sent) != dana
    assert (await rows(database, User))[0] == before
    assert dana not in await owners(database, STRANGER)
    # A second browser that starts a session finds the first one's user, as it would with an unknown address.
    guests = 1 if path == PATHS[0] else 2
    assert [row.email for row in await rows(database, User)] == [stored, *[None] * guests]
    assert database_errors == []


async def ids_of_calls(api: httpx2.AsyncClient, email: str, calls: Sequence[tuple[str, int, bool]]) -> list[int]:
    """Let browsers of their own call these paths, with or without the address; return the users, numbered anew."""
    browsers = [str(uuid4()) for _ in range(3)]
    seen: dict[int, int] = {}
    users = [
        await call(api, path, browsers[number], email=email if names_it else None) for path, number, names_it in calls
    ]
    return [seen.setdefault(user, len(seen)) for user in users]


CALLS = [(path, browser, names_it) for path in PATHS for browser in range(2) for names_it in (True, False)]


async def test_no_calls_tell_whether_an_address_is_registered(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    """All sequences of two calls of two browsers, and then one of a third browser, which starts a session."""
    last = (PATHS[0], 2, True)
    # Which browser comes first makes no difference.
    first = [call for call in CALLS if call[1] == 0]
    for number, calls in enumerate(product(first, CALLS)):
        known, unknown = f"known{number}@example.org", f"unknown{number}@example.org"
        await add_user(database, email=known, is_registered=True)
        told = [await ids_of_calls(api, email, (*calls, last)) for email in (known, unknown)]
        assert told[0] == told[1], calls


@pytest.mark.parametrize("stored", SPELLINGS)
@pytest.mark.parametrize("sent", SPELLINGS)
async def test_unregistered_address_is_found_in_any_case(
    api: httpx2.AsyncClient, database: AsyncEngine, stored: str, sent: str
) -> None:
    dana = await add_user(database, email=stored)
    assert await call(api, PATHS[0], VICTIM, email=sent) == dana
    for path in PATHS:
        assert await call(api, path, VICTIM, as_user=sent, email=sent) == dana
    assert len(await rows(database, User)) == 1


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("registered", [None, 0, 1, 2])
async def test_token_chooses_one_of_several_spellings(
    api: httpx2.AsyncClient, database: AsyncEngine, path: str, registered: int | None
) -> None:
    """The registered row, else the oldest, and always the same."""
    users = [
        await add_user(database, email=spelling, is_registered=number == registered)
        for number, spelling in enumerate(SPELLINGS)
    ]
    for browser in (STRANGER, VICTIM):
        assert await call(api, path, browser, as_user=DANA) == users[registered or 0]


@pytest.mark.parametrize("first", PATHS)
@pytest.mark.parametrize("login", PATHS)
async def test_claim_cuts_other_browsers_off(
    api: httpx2.AsyncClient, database: AsyncEngine, redis: Redis, first: str, login: str
) -> None:
    """A stranger who named the address first has no part in the user who proves it."""
    visit = {"session_id": str(uuid4()), "anonymous_id": STRANGER}
    made_in_advance = await call(api, first, STRANGER, email=DANA)
    await api.post(PATHS[0], json=visit)
    await api.post("/api/events", json=page_view(**visit))
    await drain(redis, database)
    claimed = await call(api, login, VICTIM, as_user=DANA)
    assert claimed == made_in_advance
    for path in PATHS:
        assert await call(api, path, STRANGER, email=DANA) != claimed
    await api.post("/api/events", json=page_view(**visit))
    await drain(redis, database)
    assert claimed not in await owners(database, STRANGER)
    assert None not in await owners(database, STRANGER)
    assert [str(row.anonymous_id) for row in await rows(database, User) if row.id == claimed] == [VICTIM]
    assert [str(row.anonymous_id) for row in await rows(database, UnverifiedBrowser)] == [STRANGER]


@pytest.mark.parametrize("login", PATHS)
async def test_claim_from_the_same_browser_retains_all(
    api: httpx2.AsyncClient, database: AsyncEngine, redis: Redis, login: str
) -> None:
    dana = await call(api, PATHS[0], VICTIM, email=DANA)
    assert await call(api, login, VICTIM, as_user=DANA) == dana
    assert await owners(database, VICTIM) == {dana}
    assert await rows(database, UnverifiedBrowser) == []


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("registered", [True, False])
async def test_taken_address_causes_no_database_error(
    api: httpx2.AsyncClient, database: AsyncEngine, database_errors: list[str], path: str, *, registered: bool
) -> None:
    """Postgres writes the values of a violated constraint to its log."""
    await add_user(database, email=DANA, is_registered=registered)
    await call(api, PATHS[1], STRANGER)
    for browser in (STRANGER, VICTIM):
        for as_user in (None, DANA):
            await call(api, path, browser, email=DANA, as_user=as_user)
    assert database_errors == []
