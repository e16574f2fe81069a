import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from elasticsearch import AsyncElasticsearch
from pydantic import SecretStr
from sqlalchemy import delete, insert
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from app.endpoints.endpoint import Endpoint
from app.routes import ENDPOINTS
from app.tracking.records import encode_event
from core import clients
from core.configuration.settings import Settings
from indexer import worker
from indexer.index.locks import rebuild_lock
from indexer.rebuild.reindex import reindex
from schemas.api.tracking import TrackedEvent
from schemas.tables import DeadEvent, DeadLetter, Event, OutboxRow
from tests.conftest import drop_indices
from tests.support.api.serving import serving
from tests.support.api.tokens import SECRET, admin_token, claims, token
from tests.support.eventually import eventually
from tests.support.factories import CatalogueFactory
from tests.support.rows import rows
from tracking.stream import EVENT

KEY = "the-service-key-of-this-test"
DIED = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)
ADMIN = [endpoint for endpoint in ENDPOINTS if endpoint.admin or endpoint.path.startswith("/api/admin/")]


def name(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


@pytest.fixture
def secured(settings: Settings) -> Settings:
    return settings.model_copy(update={"admin_key": SecretStr(KEY), "supabase_jwt_secret": SecretStr(SECRET)})


@pytest.fixture
async def stranger(secured: Settings, database: AsyncEngine) -> AsyncIterator[httpx2.AsyncClient]:
    """A client without credentials of a service with an empty database."""
    async with serving(secured) as client:
        yield client


@pytest.fixture
def api(stranger: httpx2.AsyncClient) -> httpx2.AsyncClient:
    stranger.headers["X-Admin-Key"] = KEY
    return stranger


@pytest.fixture
async def built(settings: Settings, catalogue: CatalogueFactory, database: AsyncEngine) -> str:
    """Name of an index of three departures, with an empty outbox."""
    await drop_indices(settings)
    for _ in range(3):
        await catalogue.occurrence()
    async with database.begin() as connection:
        await connection.execute(delete(OutboxRow))
    return await build(settings)


async def build(settings: Settings) -> str:
    return (await reindex(settings, lambda progress: None)).name


async def data(answer: httpx2.Response) -> Any:
    assert answer.status_code == 200, answer.text
    assert answer.json()["success"] is True
    return answer.json()["data"]


def test_every_admin_path_needs_an_administrator() -> None:
    assert ADMIN
    assert all(endpoint.admin for endpoint in ADMIN)


@pytest.mark.parametrize("endpoint", ADMIN, ids=name)
async def test_others_are_rejected_before_body_is_read(stranger: httpx2.AsyncClient, endpoint: Endpoint) -> None:
    nonsense: dict[str, Any] = {"content": b"{", "params": {"limit": "no number"}}
    answer = await stranger.request(endpoint.method, endpoint.path, **nonsense)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    user = {"Authorization": f"Bearer {token()}"}
    answer = await stranger.request(endpoint.method, endpoint.path, headers=user, **nonsense)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("endpoint", ADMIN, ids=name)
async def test_nobody_is_admin_without_secrets(secured: Settings, endpoint: Endpoint) -> None:
    closed = secured.model_copy(update={"admin_key": None, "supabase_jwt_secret": None})
    async with serving(closed) as api:
        for headers in ({"X-Admin-Key": KEY}, {"X-Admin-Key": ""}, {"Authorization": f"Bearer {admin_token()}"}):
            assert (await api.request(endpoint.method, endpoint.path, headers=headers)).status_code == 401


async def test_every_call_is_logged_without_the_key(stranger: httpx2.AsyncClient) -> None:
    with capture_logs() as log:
        await stranger.get("/api/admin/dead-letters")
        await stranger.get("/api/admin/dead-letters", headers={"Authorization": f"Bearer {token()}"})
        await stranger.get("/api/admin/dead-letters", headers={"Authorization": f"Bearer {admin_token()}"})
        await stranger.get("/api/admin/dead-letters?limit=0", headers={"X-Admin-Key": KEY})
        await stranger.get("/api/admin/dead-letters", headers={"Authorization": f"Bearer {KEY}"})
    calls = [(line["who"], line["outcome"]) for line in log if line["event"] == "admin_call"]
    assert calls == [
        ("unknown", "unauthorized"),
        ("unknown", "forbidden"),
        (claims()["sub"], "200"),
        ("service key", "bad_request"),
        ("service key", "200"),
    ]
    assert {line["call"] for line in log if line["event"] == "admin_call"} == {"GET /api/admin/dead-letters"}
    assert not any(secret in str(log) for secret in (KEY, token(), claims()["email"]))


async def test_index_status_is_complete(
    api: httpx2.AsyncClient, settings: Settings, built: str, database: AsyncEngine
) -> None:
    async with database.begin() as connection:
        await connection.execute(insert(OutboxRow).values(kind="occurrence", row_id=1, attempts=4, created_at=DIED))
        await connection.execute(insert(DeadLetter).values(kind="guide", row_id=2, error="wrong", created_at=DIED))
    state = await data(await api.get("/api/admin/index"))
    assert (state["alias"], state["index"]) == (settings.elasticsearch_alias, built)
    assert (state["documents"], state["departures"]) == (3, 3)
    assert [(target["name"], target["state"]) for target in state["targets"]] == [(built, "live")]
    assert (state["outbox"]["rows"], state["outbox"]["attempts"]) == (1, 4)
    assert state["outbox"]["oldest_seconds"] > 0
    assert state["dead_letters"] == {"index": 1, "events": 0}
    assert state["generation"] > 0
    assert state["rebuilding"] is False
    assert (state["reindex"]["state"], state["reindex"]["done"], state["reindex"]["total"]) == ("done", 3, 3)


async def test_status_without_elasticsearch_and_redis(secured: Settings, built: str) -> None:
    async with (
        clients.elasticsearch("http://127.0.0.1:1") as es,
        clients.redis("redis://127.0.0.1:1") as redis,
        serving(secured, elasticsearch=es, redis=redis) as api,
    ):
        state = await data(await api.get("/api/admin/index", headers={"X-Admin-Key": KEY}))
    assert (state["index"], state["documents"], state["generation"], state["reindex"]) == (None,) * 4
    assert [target["name"] for target in state["targets"]] == [built]


@pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq's own
async def test_reindex_is_built_by_the_worker(api: httpx2.AsyncClient, settings: Settings, built: str) -> None:
    answer = await api.post("/api/admin/reindex")
    assert (answer.status_code, answer.json()["success"]) == (202, True)

    async def another_is_in_use() -> bool:
        state = await data(await api.get("/api/admin/index"))
        return state["index"] != built and not state["rebuilding"]

    async with working(settings):
        await eventually(another_is_in_use, within=30)
    assert (await data(await api.get("/api/admin/index")))["reindex"]["state"] == "done"


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[None]:
    """Run a worker during the block."""
    stop = asyncio.Event()
    task = asyncio.create_task(worker.work(settings, stop))
    yield
    stop.set()
    await task


async def test_reindex_conflicts_with_running_one(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    async with rebuild_lock(database):
        for path in ("/api/admin/reindex", "/api/admin/rollback"):
            answer = await api.post(path)
            assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
            assert answer.json()["error"] == "A reindex or a rollback is already running; one at a time."
        assert (await data(await api.get("/api/admin/index")))["rebuilding"] is True


async def test_reindex_is_enqueued_once(api: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(api.post("/api/admin/reindex") for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409, 409]


@pytest.mark.usefixtures("database")
async def test_reindex_needs_redis(secured: Settings) -> None:
    async with clients.redis("redis://127.0.0.1:1") as redis, serving(secured, redis=redis) as api:
        answer = await api.post("/api/admin/reindex", headers={"X-Admin-Key": KEY})
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["Retry-After"]


async def test_verify_compares_index_with_postgres(
    api: httpx2.AsyncClient, built: str, es: AsyncElasticsearch, database: AsyncEngine
) -> None:
    report = await data(await api.post("/api/admin/verify"))
    assert (report["in_sync"], report["checked"], report["drifted"], report["differences"]) == (True, 3, 0, [])

    await es.delete(index=built, id="2", refresh=True)
    report = await data(await api.post("/api/admin/verify", json={}))
    assert (report["in_sync"], report["repaired"]) == (False, False)
    assert report["differences"] == [{"trip_id": 2, "fields": ["missing"]}]
    assert not await rows(database, OutboxRow)

    report = await data(await api.post("/api/admin/verify", json={"repair": True}))
    assert (report["drifted"], report["repaired"]) == (1, True)
    assert [row.row_id for row in await rows(database, OutboxRow)] == [2]


async def test_verify_conflicts_without_index(api: httpx2.AsyncClient, settings: Settings) -> None:
    await drop_indices(settings)
    answer = await api.post("/api/admin/verify")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


async def test_second_rollback_undoes_the_first(api: httpx2.AsyncClient, settings: Settings, built: str) -> None:
    answer = await api.post("/api/admin/rollback")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "no previous index" in answer.json()["error"]
    second = await build(settings)
    for expected in (built, second):
        answer = await api.post("/api/admin/rollback")
        assert (answer.status_code, answer.json()) == (200, {"success": True, "index": expected})
        assert (await data(await api.get("/api/admin/index")))["index"] == expected


async def bury(database: AsyncEngine, count: int) -> None:
    letters = [{"kind": "occurrence", "row_id": n, "error": f"reason {n}", "created_at": DIED} for n in range(count)]
    async with database.begin() as connection:
        await connection.execute(insert(DeadLetter), letters)


async def test_dead_letters_are_paged_latest_first(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    await bury(database, 5)
    answer = (await api.get("/api/admin/dead-letters?limit=2&offset=1")).json()
    assert {key: answer[key] for key in ("success", "count", "total", "offset", "limit")} == {
        "success": True,
        "count": 2,
        "total": 5,
        "offset": 1,
        "limit": 2,
    }
    assert [(letter["id"], letter["reason"], letter["body"]) for letter in answer["data"]] == [
        (4, "reason 3", {"kind": "occurrence", "row_id": 3}),
        (3, "reason 2", {"kind": "occurrence", "row_id": 2}),
    ]


async def test_dead_events_are_a_separate_queue(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    body = {"kind": EVENT, "entry": "{}"}
    async with database.begin() as connection:
        await connection.execute(insert(DeadEvent).values(body=body, reason="unknown type"))
    (letter,) = await data(await api.get("/api/admin/dead-letters?queue=events"))
    assert (letter["body"], letter["reason"]) == (body, "unknown type")
    assert await data(await api.get("/api/admin/dead-letters")) == []


@pytest.mark.parametrize("query", ["queue=other", "limit=0", "limit=101", "offset=-1", "offset=10001", "limit=x"])
async def test_invalid_page_is_rejected(api: httpx2.AsyncClient, query: str) -> None:
    answer = await api.get(f"/api/admin/dead-letters?{query}")
    assert answer.status_code == 400
    assert answer.json()["details"][0]["field"] == query.partition("=")[0]


async def test_retried_dead_letter_returns_to_outbox(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    await bury(database, 3)
    answer = await api.post("/api/admin/dead-letters/retry", json={"ids": [1, 3, 999]})
    assert answer.json() == {"success": True, "retried": 2}
    assert [(row.kind, row.row_id, row.attempts) for row in await rows(database, OutboxRow)] == [
        ("occurrence", 0, 0),
        ("occurrence", 2, 0),
    ]
    assert [letter.id for letter in await rows(database, DeadLetter)] == [2]


async def test_retry_stores_valid_dead_events_only(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    event = TrackedEvent(event_type="page_view", session_id=uuid4(), anonymous_id=uuid4())
    good = encode_event(event, uuid4(), DIED)
    bodies = [good, good.replace(b"page_view", b"teleported"), encode_event(event, uuid4(), DIED)]
    async with database.begin() as connection:
        for body in bodies:
            await connection.execute(
                insert(DeadEvent).values(body={"kind": EVENT, "entry": body.decode()}, reason="then unknown")
            )
    answer = await api.post("/api/admin/dead-letters/retry", json={"queue": "events", "ids": [1, 2]})
    assert answer.json() == {"success": True, "retried": 1}
    assert [letter.id for letter in await rows(database, DeadEvent)] == [2, 3]
    assert len(await rows(database, Event)) == 1


@pytest.mark.parametrize(
    "body", [{}, {"ids": []}, {"ids": list(range(1, 102))}, {"ids": ["x"]}, {"ids": [0]}, {"ids": [1], "queue": "all"}]
)
async def test_retry_needs_ids(api: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    answer = await api.post("/api/admin/dead-letters/retry", json=body)
    assert answer.status_code == 400
    assert answer.json()["details"][0]["field"].startswith(("ids", "queue"))
