"""Entries of the tracking stream."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import orjson

from tracking.stream import EVENT, RECOMMENDATION, StreamEntry

SESSION = UUID("22222222-2222-4222-8222-222222222222")
PERSON = UUID("11111111-1111-4111-8111-111111111111")
TRIP = 668


def event(event_type: str = "page_view", **values: Any) -> StreamEntry:
    body = {
        "event_uuid": uuid4(),
        "event_type": event_type,
        "session_id": SESSION,
        "anonymous_id": PERSON,
        "timestamp": datetime.now(UTC),
        **values,
    }
    return StreamEntry(EVENT, orjson.dumps(body))


def request_log(**values: Any) -> StreamEntry:
    body = {
        "request_id": uuid4(),
        "created_at": datetime.now(UTC),
        "preferences": {},
        "selected_countries": [],
        "selected_continents": [],
        "preferred_theme_ids": [],
        "min_duration": 1,
        "max_duration": 365,
        "response_time_ms": 12,
        "total_candidates": 40,
        "primary_count": 2,
        "relaxed_count": 0,
        "result_trip_ids": [5, 3],
        "result_scores": [90, 70],
        "algorithm_version": "v2",
        **values,
    }
    return StreamEntry(RECOMMENDATION, orjson.dumps(body))
