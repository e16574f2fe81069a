"""Event endpoints: valid and invalid events, and how they are stored."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.redis_keys import GENERATION_COUNTER, GENERATION_SERVER, RECENT_CHANGES
from schemas.tables import DeadEvent, Event, TripInteraction
from tests.support.api.responses import get
from tests.support.rows import rows
from tests.support.tracking.visits import FULL_EVENT, PERSON, SESSION, drain, event

EVENTS = "/api/events"
BATCH = "/api/events/batch"


async def accepted(api: httpx2.AsyncClient, path: str, body: object) -> dict[str, Any]:
    response = await api.post(path, json=body)
    assert response.status_code == 202, response.text
    answer: dict[str, Any] = response.json()
    assert answer["success"] is True
    return answer


async def test_event_is_stored_with_all_fields(api: httpx2.AsyncClient, redis: Redis, database: AsyncEngine) -> None:
    before = datetime.now(UTC)
    answer = await accepted(api, EVENTS, FULL_EVENT)
    assert answer == {"success": True, "event_id": FULL_EVENT["event_id"]}
    await drain(redis, database)
    (row,) = await rows(database, Event)
    assert row.event_uuid == UUID(FULL_EVENT["event_id"])
    assert (row.session_id, row.anonymous_id) == (UUID(SESSION), UUID(PERSON))
    assert row.recommendation_request_id == UUID(FULL_EVENT["recommendation_request_id"])
    assert (row.trip_id, row.source, row.position_in_results, row.score_at_time) == (668, "search_results", 3, 87)
    assert row.event_data == FULL_EVENT["metadata"]
    assert row.client_timestamp == datetime(2026, 11, 24, 9, 30, 0, 123_000, tzinfo=UTC)
    assert (row.page_url, row.referrer) == (FULL_EVENT["page_url"], FULL_EVENT["referrer"])
    assert before <= row.timestamp <= datetime.now(UTC)


async def test_event_without_id_gets_one(api: httpx2.AsyncClient, redis: Redis, database: AsyncEngine) -> None:
    answer = await accepted(api, EVENTS, event())
    await drain(redis, database)
    (row,) = await rows(database, Event)
    assert str(row.event_uuid) == answer["event_id"]


async def test_event_sent_twice_is_stored_once(api: httpx2.AsyncClient, redis: Redis, database: AsyncEngine) -> None:
    await accepted(api, EVENTS, FULL_EVENT)
    await accepted(api, BATCH, {"events": [FULL_EVENT, FULL_EVENT]})
    await drain(redis, database)
    (trip,) = await rows(database, TripInteraction)
    assert (len(await rows(database, Event)), trip.click_count) == (1, 1)


async def test_batch_is_stored_in_order(api: httpx2.AsyncClient, redis: Redis, database: AsyncEngine) -> None:
    events = [event(position=position) for position in range(100)]
    answer = await accepted(api, BATCH, {"events": events})
    assert answer == {"success": True, "processed": 100, "total": 100, "errors": None}
    await drain(redis, database)
    assert [row.position_in_results for row in await rows(database, Event)] == list(range(100))


async def test_invalid_event_of_batch_is_named(api: httpx2.AsyncClient, redis: Redis, database: AsyncEngine) -> None:
    events = [event(), event("teleported"), 5, None, event(trip_id=0), [], event()]
    answer = await accepted(api, BATCH, {"events": events})
    assert (answer["processed"], answer["total"]) == (2, 7)
    assert [error["index"] for error in answer["errors"]] == [1, 2, 3, 4, 5]
    for error, field in zip(answer["errors"], ["event_type", "body", "body", "trip_id", "body"], strict=True):
        assert field in error["error"]
    await drain(redis, database)
    assert len(await rows(database, Event)) == 2


async def test_lone_surrogate_is_replaced(api: httpx2.AsyncClient, redis: Redis, database: AsyncEngine) -> None:
    whole = event("page_view", metadata={"title": "\N{GRINNING FACE}"})
    cut = event("page_view", metadata={"title": "a\ud83d"})
    answer = await api.post(
        BATCH, content=json.dumps({"events": [whole, cut]}), headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.json()["processed"]) == (202, 2)
    await drain(redis, database)
    titles = [row.event_data["title"] for row in await rows(database, Event)]
    assert titles == ["\N{GRINNING FACE}", "a\N{REPLACEMENT CHARACTER}"]


async def test_long_page_url_is_truncated(api: httpx2.AsyncClient, redis: Redis, database: AsyncEngine) -> None:
    await accepted(api, EVENTS, event(page_url="x" * 5000))
    await drain(redis, database)
    (stored,) = await rows(database, Event)
    assert stored.page_url == "x" * 4096


async def test_batch_of_invalid_events_is_accepted(api: httpx2.AsyncClient) -> None:
    answer = await accepted(api, BATCH, {"events": [{}]})
    assert (answer["processed"], answer["total"], len(answer["errors"])) == (0, 1, 1)


@pytest.mark.parametrize("body", [{}, {"events": []}, {"events": [event()] * 101}, {"events": None}, {"events": {}}])
async def test_batch_has_1_to_100_events(api: httpx2.AsyncClient, body: object) -> None:
    response = await api.post(BATCH, json=body)
    assert response.status_code == 400
    assert response.json()["details"][0]["field"] == "events"


async def test_batch_may_exceed_usual_body_limit(api: httpx2.AsyncClient) -> None:
    large = event(metadata={"text": "x" * 8000})
    answer = await accepted(api, BATCH, {"events": [large] * 100})
    assert answer["processed"] == 100
    response = await api.post(BATCH, json={"events": [large] * 100, "more": "x" * 1024 * 1024})
    assert response.status_code == 413


BAD: dict[str, list[object]] = {
    "event_type": [None, "", "teleported", "PAGE_VIEW", 5, [], {}, "page_view\0", "search"],
    "session_id": [None, "", "me", SESSION[:-1], 5, [], "\0" * 36],
    "anonymous_id": [None, "", "me", True],
    "trip_id": [0, -1, 1.5, "668", "x", True, [1], {}, 2**31, 10**30],
    "source": ["", "newspaper", 5, ["homepage"]],
    "recommendation_request_id": ["", "x", 5],
    "metadata": ["text", 5, [1], True, {"text": "x" * 8200}],
    "position": [-1, 1.5, "3", 2**31],
    "score": ["87", True, 1e9, -1e9, [87]],
    "client_timestamp": ["", "yesterday", 1700000000, "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+05:00"],
    "page_url": [5, "a\0b", {}],
    "referrer": [5, "a\0b"],
    "event_id": ["", "5", 5],
}
CASES: list[tuple[str, object]] = [(field, value) for field, values in BAD.items() for value in values]


@pytest.mark.parametrize(("field", "value"), CASES, ids=[f"{field}={str(value)[:40]!r}" for field, value in CASES])
async def test_invalid_value_is_named(api: httpx2.AsyncClient, redis: Redis, field: str, value: object) -> None:
    response = await api.post(EVENTS, json=event() | {field: value})
    assert response.status_code == 400, response.text
    assert [detail["field"] for detail in response.json()["details"]] == [field]
    assert await redis.dbsize() == await redis.exists(GENERATION_COUNTER, GENERATION_SERVER, RECENT_CHANGES)


@pytest.mark.parametrize("field", ["event_type", "session_id", "anonymous_id"])
async def test_missing_field_is_named(api: httpx2.AsyncClient, field: str) -> None:
    body = event()
    del body[field]
    response = await api.post(EVENTS, json=body)
    assert response.status_code == 400
    assert [detail["field"] for detail in response.json()["details"]] == [field]


async def test_click_needs_a_source(api: httpx2.AsyncClient) -> None:
    response = await api.post(EVENTS, json=event("click_trip", trip_id=1))
    assert response.status_code == 400
    assert [detail["field"] for detail in response.json()["details"]] == ["source"]
    await accepted(api, EVENTS, event("click_trip", trip_id=1, source="similar"))


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'"x"', b"NaN", b"\xff", b'{"event_type": "\\ud800"}', b'{"a":' * 2000 + b"1" + b"}" * 2000],
)
async def test_body_must_be_a_json_object(api: httpx2.AsyncClient, body: bytes) -> None:
    response = await api.post(EVENTS, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert response.json()["code"] == "bad_request"


async def test_deep_metadata_is_rejected(api: httpx2.AsyncClient) -> None:
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"a": deep}
    response = await api.post(EVENTS, json=event(metadata=deep))
    assert response.status_code == 400
    assert [detail["field"] for detail in response.json()["details"]] == ["metadata"]


HOSTILE = [
    {"a\0b": "c\0", "\\u0000": "\\\0\\\\u0000"},
    {"\u202e\ufeff\U0001f600": "\u202e\u2028é" * 100},
    {"": {"": [[], {}, "", None, 0.1, -5, 2**63]}},
    {"'; DROP TABLE events; --": "%s {} :events $1"},
]


@pytest.mark.parametrize("metadata", HOSTILE)
async def test_metadata_takes_any_json(
    api: httpx2.AsyncClient, redis: Redis, database: AsyncEngine, metadata: dict[str, Any]
) -> None:
    await accepted(api, EVENTS, event(metadata=metadata))
    await drain(redis, database)
    assert await rows(database, DeadEvent) == []
    (row,) = await rows(database, Event)
    # Postgres cannot store NUL.
    expected = {key.replace("\0", "\ufffd"): value for key, value in metadata.items()}
    if "a\0b" in metadata:
        expected = {"a\ufffdb": "c\ufffd", "\\u0000": "\\\ufffd\\\\u0000"}
    assert row.event_data == expected


async def test_numbers_may_be_arbitrarily_large(api: httpx2.AsyncClient, redis: Redis, database: AsyncEngine) -> None:
    numbers = [1e308, -1e308, 5e-324, -0.0, 2.0**64]
    await accepted(api, EVENTS, event("trip_dwell_time", trip_id=1, metadata={"duration_seconds": 1e308, "n": numbers}))
    await drain(redis, database)
    assert await rows(database, DeadEvent) == []
    (row,) = await rows(database, Event)
    assert [float(number) for number in row.event_data["n"]] == numbers


async def test_time_without_zone_is_utc(api: httpx2.AsyncClient, redis: Redis, database: AsyncEngine) -> None:
    times = ["2026-11-24T09:30:00", "2026-11-24T09:30:00+00:00", "2026-11-24T11:30:00+02:00", "2026-11-24T09:30:00Z"]
    await accepted(api, BATCH, {"events": [event(client_timestamp=time) for time in times]})
    await drain(redis, database)
    moments = {row.client_timestamp - datetime(2026, 11, 24, 9, 30, tzinfo=UTC) for row in await rows(database, Event)}
    assert moments == {timedelta(0)}


async def test_event_types_are_sorted(api: httpx2.AsyncClient) -> None:
    answer = await get(api, "/api/events/types")
    assert answer["event_types"] == [
        "booking_start",
        "click_trip",
        "contact_phone",
        "contact_whatsapp",
        "filter_change",
        "filter_removed",
        "impression",
        "page_view",
        "results_view",
        "save_trip",
        "scroll_depth",
        "search_submit",
        "share_trip",
        "sort_change",
        "trip_dwell_time",
        "trip_view",
        "unsave_trip",
    ]
    assert list(answer["categories"]) == answer["event_types"]
    assert {name: answer["categories"][name] for name in ("page_view", "sort_change", "impression", "share_trip")} == {
        "page_view": "navigation",
        "sort_change": "search",
        "impression": "engagement",
        "share_trip": "conversion",
    }
    assert answer["valid_sources"] == ["homepage", "relaxed_results", "saved", "search_results", "similar"]
