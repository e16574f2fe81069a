"""One line per request, sampled above a rate, with failed and slow requests always."""

from typing import Any

import httpx2
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from app.observability import access_log
from app.observability.access_log import MAX_ALWAYS_PER_SECOND, AccessLog, FinishedRequest
from core.configuration.settings import Settings
from core.request_record import RequestRecord
from tests.app.conftest import ADMIN_KEY
from tests.support.api.serving import serving
from tests.support.api.tokens import SECRET, token

RATE = 20
PERSON = "marker.person@example.org"


def lines_of(log: AccessLog, requests: int, *, status: int = 200, seconds: float = 0.01, second: int = 0) -> int:
    """Return how many of so many requests, spread over a second, are due."""
    return sum(log.is_due(status, seconds, second + number / requests) for number in range(requests))


def requests(events: list[Any]) -> list[Any]:
    return [event for event in events if event["event"] == "request"]


def test_every_request_has_a_line_below_the_rate() -> None:
    log = AccessLog(RATE)
    assert [lines_of(log, 15, second=second) for second in range(3)] == [15, 15, 15]


def test_sample_above_the_rate_is_spread_over_the_second() -> None:
    log = AccessLog(RATE)
    assert lines_of(log, 2000) == RATE
    due = [number for number in range(2000) if log.is_due(200, 0.01, 1 + number / 2000)]
    assert RATE - 2 <= len(due) <= RATE
    assert due[-1] > 1800


def test_rate_of_zero_leaves_failed_and_slow_requests() -> None:
    log = AccessLog(0, slow_seconds=0.5)
    assert lines_of(log, 10) == 0
    assert lines_of(log, 10, status=503, second=1) == 10
    assert lines_of(log, 10, seconds=0.5, second=2) == 10


def test_failed_requests_have_lines_above_the_rate_up_to_a_bound() -> None:
    log = AccessLog(RATE)
    assert lines_of(log, MAX_ALWAYS_PER_SECOND, status=500) == MAX_ALWAYS_PER_SECOND
    assert lines_of(log, 5000, status=500, second=1) == MAX_ALWAYS_PER_SECOND


def test_omitted_lines_are_counted() -> None:
    log, sampled, limited = AccessLog(RATE), access_log.SAMPLED._value.get(), access_log.LIMITED._value.get()
    lines_of(log, 1000)
    lines_of(log, 1000, status=500, second=1)
    lines_of(log, 1, second=2)
    assert access_log.SAMPLED._value.get() - sampled == 1000 - RATE
    assert access_log.LIMITED._value.get() - limited == 1000 - MAX_ALWAYS_PER_SECOND


def test_slow_request_is_logged_with_its_stages() -> None:
    record = RequestRecord()
    record.add("postgres", 0.25)
    record.add("postgres", 0.5)
    with capture_logs() as events:
        AccessLog(slow_seconds=0.5).write(FinishedRequest("GET", "/x", 200, 0.9, 5, "guest", record))
        AccessLog(slow_seconds=0.5).write(FinishedRequest("GET", "/x", 200, 0.4, 5, "guest", record))
    assert events[0]["stages"] == {"postgres": 750.0}
    assert "stages" not in events[1]


async def test_line_has_route_cache_level_and_client_and_nothing_of_the_person(
    settings: Settings, sample_index: None
) -> None:
    # On a busy machine some are slow.
    changes = {"supabase_jwt_secret": SecretStr(SECRET), "slow_request_seconds": 600.0}
    secrets = settings.model_copy(update=changes)
    with capture_logs() as events:
        async with serving(secrets) as api:
            headers = {"Authorization": f"Bearer {token(email=PERSON)}", "User-Agent": PERSON}
            for _ in range(2):
                response = await api.get(f"/api/countries/1?q={PERSON}", headers=headers)
            await api.post("/api/v2/recommendations", json={"budget": 5000})
    first, second, search = requests(events)
    assert set(first) == {"event", "log_level", "method", "route", "status", "ms", "cache", "bytes", "client"}
    assert (first["method"], first["route"], first["status"]) == (
        "GET",
        "/api/countries/{id:int}",
        response.status_code,
    )
    assert (first["cache"], second["cache"], search["cache"]) == ("fill", "process", "fill")
    assert second["bytes"] == len(response.content)
    assert PERSON not in str(requests(events))


TIMED = "/api/v2/templates"


@pytest.mark.parametrize(
    ("everybody", "headers", "shown"),
    [(False, {}, False), (False, {"X-Admin-Key": ADMIN_KEY}, True), (True, {}, True)],
    ids=["guest", "administrator", "setting"],
)
async def test_timing_is_shown_to_those_who_may_see_it(
    settings: Settings, everybody: bool, headers: dict[str, str], shown: bool
) -> None:
    changes = {"server_timing": everybody, "admin_key": SecretStr(ADMIN_KEY)}
    async with serving(settings.model_copy(update=changes)) as api:
        response = await api.get("/api/admin/dead-letters" if headers else TIMED, headers=headers)
    assert ("server-timing" in response.headers) is shown
    if shown:
        assert response.headers["server-timing"].startswith("total;dur=")


async def test_cached_responses_carry_no_timing_to_others(settings: Settings) -> None:
    async with serving(settings.model_copy(update={"server_timing": True})) as api:
        response: httpx2.Response = await api.get("/api/countries")
    assert response.headers["cache-control"].startswith("public")
    assert "server-timing" not in response.headers
