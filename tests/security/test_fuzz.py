"""Fuzz the request parsers through the whole HTTP stack: every response is 2xx or 4xx.

`FUZZ_INPUTS=100000 .venv/bin/pytest tests/security/test_fuzz.py` takes half an hour on two busy cores; without it there
are fewer inputs.
"""

import os
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import Message

from app.backends.http_client import HttpClient
from app.main import create_app
from app.recommendations.service import RecommendationService
from app.recommendations.trip_search.elasticsearch import ElasticsearchTripSearch
from app.state import AppState
from core.configuration.settings import Settings
from schemas.api.errors import ErrorResponse
from schemas.tables import DeadEvent
from tests.security import fuzz
from tests.support.rows import rows
from tracking.stream import EVENT, StreamEntry
from tracking.writers.batches import store

INPUTS = int(os.environ.get("FUZZ_INPUTS", "1000"))
FUZZ = hypothesis_settings(
    max_examples=INPUTS, deadline=None, suppress_health_check=list(HealthCheck), database=None, print_blob=True
)

pytestmark = pytest.mark.timeout(7200)


class EmptyIndex(ElasticsearchTripSearch):
    """A search that finds nothing and sends no request."""

    async def _post(self, path: str, body: bytes) -> bytes:
        return b'{"_shards":{"failed":0},"hits":{"total":{"value":0},"hits":[]},"count":0}'


class ImmediateProducer:
    """Stores events itself, a hundred at a time, instead of publishing them to the stream."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._pending: list[StreamEntry] = []

    async def publish_events(self, bodies: Sequence[bytes]) -> None:
        self._pending += (StreamEntry(EVENT, body) for body in bodies)
        if len(self._pending) >= 100:
            await self.store()

    async def store(self) -> None:
        await store(self._engine, self._pending)
        self._pending.clear()
        assert await rows(self._engine, DeadEvent) == []


class NoRequestLog:
    def add(self, log: object) -> None:
        pass


class FuzzedApp:
    """Calls the application over ASGI without an HTTP client, which would take most of the time."""

    def __init__(self, app: Any, state: Mapping[str, Any]) -> None:
        self._app = app
        self._state = state
        self.statuses: Counter[int] = Counter()

    async def post(self, path: str, body: bytes) -> None:
        messages: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            messages.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "query_string": b"",
            "headers": [(b"content-type", b"application/json")],
            "client": ("127.0.0.1", 1),
            "state": dict(self._state),
        }
        await self._app(scope, receive, send)
        self.check(messages[0]["status"], messages[1]["body"])

    def check(self, status: int, body: bytes) -> None:
        self.statuses[status] += 1
        assert status in (200, 202, 400), body
        answer = orjson.loads(body)
        assert answer["success"] is (status < 400)
        if status == 400:
            assert ErrorResponse.model_validate(answer).details


@pytest.fixture
async def service(unlimited: Settings, database: AsyncEngine, redis: Redis) -> AsyncIterator[FuzzedApp]:
    app = create_app(unlimited)
    async with app.router.lifespan_context(app) as opened:
        state: AppState = opened  # type: ignore[assignment]
        index = EmptyIndex(HttpClient("http://127.0.0.1:1", seconds=1, connections=1), unlimited.elasticsearch_alias)
        answers = RecommendationService(state["cache"], state["database"], index, None, cache_seconds=0)  # type: ignore[arg-type]
        producer = ImmediateProducer(database)
        service = FuzzedApp(
            app, {**state, "recommendations": answers, "request_logs": NoRequestLog(), "tracking": producer}
        )
        yield service
        await producer.store()
        # The inputs are neither all valid nor all invalid.
        assert all(count > INPUTS / 20 for count in service.statuses.values()), service.statuses
        assert len(service.statuses) == 2
        assert service.statuses.total() >= INPUTS


@FUZZ
@given(body=fuzz.preferences)
async def test_any_preferences_are_accepted_or_rejected(service: FuzzedApp, body: bytes) -> None:
    await service.post("/api/v2/recommendations", body)


@FUZZ
@given(body=fuzz.events)
async def test_any_event_is_stored_or_rejected(service: FuzzedApp, body: bytes) -> None:
    await service.post("/api/events", body)


@FUZZ
@given(body=fuzz.batches)
async def test_any_event_batch_is_stored_or_rejected(service: FuzzedApp, body: bytes) -> None:
    await service.post("/api/events/batch", body)
