"""The examples of the OpenAPI document are what a running service answers."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import httpx2
import orjson
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from app.endpoints.endpoint import Endpoint
from app.endpoints.examples import ERRORS, RECORDED
from app.endpoints.openapi import operation_id, path_template
from app.http.raw_response import JSON
from app.routes import ENDPOINTS
from core.configuration.settings import Settings
from indexer.rebuild.reindex import reindex
from schemas.api.errors import ErrorCode
from schemas.api.preferences import EXAMPLE
from scripts import sample_data
from tests.app.conftest import ADMIN_KEY, SAMPLE
from tests.conftest import TODAY, empty
from tests.docs.documents import QUOTED, table
from tests.support.api.uvicorn_server import uvicorn_serving

SESSION = "1b671a64-40d5-491e-99b0-da01ff1f3341"
BROWSER = "7d444840-9dc0-11d1-b245-5ffdce74fad2"
CLICK = {
    "event_type": "click_trip",
    "session_id": SESSION,
    "anonymous_id": BROWSER,
    "trip_id": 1,
    "source": "search_results",
    "position": 0,
    "score": 85,
}
BODIES: dict[str, Any] = {
    "/api/v2/recommendations": EXAMPLE,
    "/api/session/start": {"session_id": SESSION, "anonymous_id": BROWSER, "device_type": "mobile"},
    "/api/user/identify": {"anonymous_id": BROWSER, "email": "dana@example.org", "name": "Dana"},
    "/api/events": CLICK,
    "/api/events/batch": {"events": [CLICK, {**CLICK, "event_type": "fly"}]},
    "/api/evaluation/run": {"scenario_ids": [1, 2]},
    "/api/admin/verify": {"repair": False},
    "/api/admin/dead-letters/retry": {"queue": "index", "ids": [1]},
}
QUERIES = {"/api/metrics/daily": {"start": str(TODAY - timedelta(days=6)), "end": str(TODAY)}}
"""Periods that end today unless the query says otherwise: recorded ones must not move with the day of the run."""
MAX_LIST = 2
"""Items of a list that the document shows."""
VARYING = {"seconds": 1.5, "rate": 4000.0, "oldest_seconds": 0.4, "generation": 7, "event_id": SESSION}
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*")
UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")


@pytest.fixture(scope="module")
async def sample_address(settings: Settings, engine: AsyncEngine, redis: Redis) -> AsyncIterator[str]:
    await empty(engine)
    await redis.flushdb()
    await sample_data.seed(settings.database_url, SAMPLE, today=TODAY)
    for _ in range(2):
        # The second has a previous index, to which an administrator can go back.
        await reindex(settings, lambda progress: None)
    with uvicorn_serving(settings.model_copy(update={"admin_key": SecretStr(ADMIN_KEY)})) as address:
        yield address


def in_order() -> list[Endpoint]:
    """Return the endpoints with JSON, reads first, and last what changes the index."""
    described = [e for e in ENDPOINTS if e.described and e.media_type == JSON and e.response is not None]
    return sorted(described, key=lambda endpoint: (endpoint.admin, endpoint.method, "reindex" in endpoint.path))


async def test_recorded_examples_are_what_the_service_answers(
    sample_address: str, settings: Settings, tmp_path: Path
) -> None:
    answers: dict[str, Any] = {}
    async with httpx2.AsyncClient(base_url=sample_address, headers={"X-Admin-Key": ADMIN_KEY}) as client:
        for endpoint in in_order():
            path = path_template(endpoint.path).replace("{id}", "1")
            body = BODIES.get(endpoint.path)
            response = await client.request(endpoint.method, path, params=QUERIES.get(endpoint.path), json=body)
            assert response.status_code == endpoint.status, response.text
            request = {"request": body} if body is not None else {}
            answers[operation_id(endpoint)] = request | {"response": steady(response.json(), settings)}
    written = tmp_path / RECORDED.name
    written.write_bytes(orjson.dumps(answers, option=orjson.OPT_INDENT_2) + b"\n")
    assert orjson.loads(RECORDED.read_bytes()) == answers, f"Review the changes, and: cp {written} {RECORDED}"


def steady(value: Any, settings: Settings, key: str = "") -> Any:
    """Return a response without what differs from one recording to the next, and with short lists."""
    if isinstance(value, dict):
        return {name: steady(item, settings, name) for name, item in value.items()}
    if isinstance(value, list):
        return [steady(item, settings, key) for item in value[:MAX_LIST]]
    if key in VARYING and value is not None:
        return VARYING[key]
    return steady_text(value, settings) if isinstance(value, str) else value


def steady_text(text: str, settings: Settings) -> str:
    if STAMP.fullmatch(text):
        return f"{TODAY}T09:30:00Z"
    if UUID.fullmatch(text) and text not in (SESSION, BROWSER):
        return "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"
    return re.sub(rf"{settings.elasticsearch_alias}[-\w]*", "trips-v1", text)


def test_every_operation_with_json_has_a_recorded_example() -> None:
    assert orjson.loads(RECORDED.read_bytes()).keys() == {operation_id(endpoint) for endpoint in in_order()}


def test_errors_have_an_example_of_each_documented_code() -> None:
    documented = {
        (int(status), code)
        for codes, statuses, _ in table("docs/reference/errors.md", "## Codes")
        for code, status in pair(QUOTED.findall(codes), re.findall(r"\d+", statuses))
        if int(status) in ERRORS
    }
    assert {(error.status, error.code) for errors in ERRORS.values() for error in errors} == documented
    assert {code for _, code in documented} <= set(get_args(ErrorCode))


def pair(codes: list[str], statuses: list[str]) -> list[tuple[str, str]]:
    """Return codes with their statuses: one each, or all of one."""
    if len(codes) == len(statuses):
        return list(zip(codes, statuses, strict=True))
    return [(code, status) for code in codes for status in statuses]
