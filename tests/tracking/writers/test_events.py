"""What a stored event adds to sessions, users and trips."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.event_types import CATEGORIES
from schemas.tables import BrowsingSession, Event, EventType, TripInteraction, User
from tests.support.rows import rows
from tests.support.tracking.entries import PERSON, SESSION, TRIP, event
from tracking.stream import StreamEntry
from tracking.writers.batches import store

BEGAN = datetime(2026, 11, 24, 9, tzinfo=UTC)


@pytest.fixture
async def user_id(database: AsyncEngine) -> int:
    """A user with one open session."""
    async with database.begin() as connection:
        user = insert(User).values(anonymous_id=PERSON, last_seen_at=BEGAN).returning(User.id)
        user_id: int = (await connection.execute(user)).scalar_one()
        await connection.execute(
            insert(BrowsingSession).values(session_id=SESSION, anonymous_id=PERSON, user_id=user_id, started_at=BEGAN)
        )
    return user_id


async def test_row_has_every_field_of_the_event(database: AsyncEngine, user_id: int) -> None:
    event_id, request_id = uuid4(), uuid4()
    said = {
        "trip_id": TRIP,
        "source": "relaxed_results",
        "recommendation_request_id": request_id,
        "position_in_results": 3,
        "score_at_time": 87.5,
        "page_url": "https://example.org/חיפוש",
        "referrer": "https://example.org/",
        "client_timestamp": BEGAN,
    }
    await store(database, [event("click_trip", event_uuid=event_id, event_data={"a": ["ש", None]}, **said)])
    (row,) = await rows(database, Event)
    assert row._mapping.items() >= (said | {"event_uuid": event_id, "event_data": {"a": ["ש", None]}}).items()
    assert (row.user_id, row.session_id, row.anonymous_id) == (user_id, SESSION, PERSON)


async def test_every_event_type_is_stored(database: AsyncEngine) -> None:
    await store(database, [event(name) for name in CATEGORIES])
    async with database.connect() as connection:
        names = select(EventType.name).join(Event, Event.event_type_id == EventType.id).order_by(Event.id)
        assert (await connection.scalars(names)).all() == list(CATEGORIES)


async def test_anonymous_event_has_no_user(database: AsyncEngine) -> None:
    await store(database, [event("search_submit")])
    (row,) = await rows(database, Event)
    assert row.user_id is None
    assert row.event_data == {}
    assert await rows(database, User) == []


async def test_user_is_found_by_anonymous_id(database: AsyncEngine, user_id: int) -> None:
    await store(database, [event(session_id=uuid4())])
    (row,) = await rows(database, Event)
    assert row.user_id == user_id


async def test_session_takes_precedence_over_anonymous_id(database: AsyncEngine, user_id: int) -> None:
    await store(database, [event(anonymous_id=uuid4())])
    (row,) = await rows(database, Event)
    assert row.user_id == user_id


SESSION_COUNTS = {
    "search_submit": (1, 0, 0, 0),
    "click_trip": (0, 1, 0, 0),
    "save_trip": (0, 0, 1, 0),
    "contact_whatsapp": (0, 0, 0, 1),
    "contact_phone": (0, 0, 0, 1),
}


@pytest.mark.parametrize("name", CATEGORIES)
async def test_session_counts_its_events(database: AsyncEngine, user_id: int, name: str) -> None:
    await store(database, [event(name)])
    (session,) = await rows(database, BrowsingSession)
    counts = session.search_count, session.click_count, session.save_count, session.contact_count
    assert counts == SESSION_COUNTS.get(name, (0, 0, 0, 0))


async def test_user_counts_its_events(database: AsyncEngine, user_id: int) -> None:
    latest = BEGAN + timedelta(minutes=5)
    names = ["search_submit", "search_submit", "click_trip", "save_trip"]
    await store(database, [event(name, timestamp=BEGAN) for name in names] + [event(timestamp=latest)])
    (user,) = await rows(database, User)
    assert (user.total_searches, user.total_clicks, user.last_seen_at) == (2, 1, latest)


async def test_late_event_does_not_lower_last_seen(database: AsyncEngine, user_id: int) -> None:
    await store(database, [event(timestamp=BEGAN - timedelta(days=1))])
    (user,) = await rows(database, User)
    assert user.last_seen_at == BEGAN


TRIP_COUNTS = {
    "impression": {"impression_count": 1},
    "click_trip": {"click_count": 1},
    "trip_dwell_time": {"total_dwell_time_seconds": 40},
    "save_trip": {"save_count": 1},
    "contact_whatsapp": {"whatsapp_contact_count": 1},
    "contact_phone": {"phone_contact_count": 1},
    "booking_start": {"booking_start_count": 1},
}
COUNTS = sorted({name for counts in TRIP_COUNTS.values() for name in counts})


@pytest.mark.parametrize("name", CATEGORIES)
async def test_trip_counts_engagement_and_conversion(database: AsyncEngine, name: str) -> None:
    await store(database, [event(name, trip_id=TRIP, event_data={"duration_seconds": 40})])
    trips = await rows(database, TripInteraction)
    if CATEGORIES[name] in ("engagement", "conversion"):
        (trip,) = trips
        assert trip.trip_id == TRIP
        counted = {column: trip._mapping[column] for column in COUNTS}
        assert counted == dict.fromkeys(COUNTS, 0) | TRIP_COUNTS.get(name, {})
    else:
        assert trips == []


async def test_event_without_trip_counts_for_no_trip(database: AsyncEngine) -> None:
    await store(database, [event("click_trip")])
    assert await rows(database, TripInteraction) == []


async def test_rates_follow_counts(database: AsyncEngine) -> None:
    names = ["impression"] * 3 + ["click_trip"] * 2 + ["save_trip", "contact_phone", "contact_whatsapp"]
    for name in names:
        await store(database, [event(name, trip_id=TRIP)])
    (trip,) = await rows(database, TripInteraction)
    assert (trip.click_through_rate, trip.save_rate, trip.contact_rate) == (
        Decimal("0.6667"),
        Decimal("0.5000"),
        Decimal("1.0000"),
    )


async def test_rate_without_denominator_is_null(database: AsyncEngine) -> None:
    await store(database, [event("save_trip", trip_id=TRIP)])
    (trip,) = await rows(database, TripInteraction)
    assert (trip.click_through_rate, trip.save_rate, trip.contact_rate) == (None, None, None)


async def test_rate_is_bounded_by_its_column(database: AsyncEngine) -> None:
    await store(database, [event(name, trip_id=TRIP) for name in ["impression"] + ["click_trip"] * 12])
    (trip,) = await rows(database, TripInteraction)
    assert (trip.click_count, trip.click_through_rate) == (12, Decimal("9.9999"))


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [(40, 40), (40.4, 40), (0, 0), (-5, 0), (10**15, 86_400), ("40", 0), (None, 0), ([40], 0), (True, 0)],
)
async def test_dwell_time_is_clamped(database: AsyncEngine, duration: object, seconds: int) -> None:
    await store(database, [event("trip_dwell_time", trip_id=TRIP, event_data={"duration_seconds": duration})])
    (trip,) = await rows(database, TripInteraction)
    assert trip.total_dwell_time_seconds == seconds


async def test_dwell_time_sum_is_bounded_by_its_column(database: AsyncEngine) -> None:
    async with database.begin() as connection:
        await connection.execute(insert(TripInteraction).values(trip_id=TRIP, total_dwell_time_seconds=2**31 - 50_000))
    visit = {"trip_id": TRIP, "event_data": {"duration_seconds": 40_000}}
    for _ in range(2):
        await store(database, [event("trip_dwell_time", **visit)])
    (trip,) = await rows(database, TripInteraction)
    assert trip.total_dwell_time_seconds == 2**31 - 1
    assert len(await rows(database, Event)) == 2


async def test_counts_add_up_over_batches(database: AsyncEngine, user_id: int) -> None:
    def batch() -> list[StreamEntry]:
        return [event("click_trip", trip_id=trip) for trip in (1, 2, 1)] + [event("click_trip", session_id=uuid4())]

    await store(database, batch())
    await store(database, batch())
    (session,), (user,) = await rows(database, BrowsingSession), await rows(database, User)
    assert (session.click_count, user.total_clicks) == (6, 8)
    assert {trip.trip_id: trip.click_count for trip in await rows(database, TripInteraction)} == {1: 4, 2: 2}


async def test_event_reopens_a_closed_session(database: AsyncEngine, user_id: int) -> None:
    end = {"ended_at": BEGAN + timedelta(minutes=10), "duration_seconds": 600}
    async with database.begin() as connection:
        await connection.execute(update(BrowsingSession).values(end))
    await store(database, [event(timestamp=BEGAN + timedelta(minutes=9))])
    (session,) = await rows(database, BrowsingSession)
    assert session._mapping.items() >= end.items()
    await store(database, [event(timestamp=BEGAN + timedelta(minutes=11))])
    (session,) = await rows(database, BrowsingSession)
    assert (session.ended_at, session.duration_seconds) == (None, None)


async def test_rows_follow_the_order_of_entries(database: AsyncEngine) -> None:
    ids = [uuid4() for _ in range(200)]
    await store(database, [event(event_uuid=event_id) for event_id in ids])
    assert [row.event_uuid for row in await rows(database, Event)] == ids
