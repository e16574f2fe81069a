"""What is counted again about trips."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

from sqlalchemy import delete, insert, update
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.tables import TripInteraction
from tests.support.rows import rows
from tests.support.tracking.entries import TRIP, event
from tracking.aggregation import trips
from tracking.aggregation.trips import aggregate_trips
from tracking.retention import remove_old
from tracking.writers.batches import store


def days_ago(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


async def test_visitors_are_counted_once(database: AsyncEngine) -> None:
    anna, dan = uuid4(), uuid4()
    seen = [
        ("impression", anna),
        ("impression", anna),
        ("impression", dan),
        ("click_trip", dan),
        ("trip_view", uuid4()),
    ]
    await store(database, [event(name, trip_id=TRIP, anonymous_id=person) for name, person in seen])
    await aggregate_trips(database)
    (trip,) = await rows(database, TripInteraction)
    assert (trip.impression_count, trip.unique_viewers) == (3, 2)
    assert (trip.click_count, trip.unique_clickers) == (1, 1)


async def test_last_seven_days_are_counted_separately(database: AsyncEngine) -> None:
    entries = [
        event(name, trip_id=TRIP, timestamp=days_ago(age))
        for age in (0, 6.9, 7.1, 40)
        for name in ("impression", "impression", "click_trip")
    ]
    await store(database, entries)
    await aggregate_trips(database)
    (trip,) = await rows(database, TripInteraction)
    assert (trip.impression_count, trip.impressions_7d) == (8, 4)
    assert (trip.click_count, trip.clicks_7d) == (4, 2)


async def test_inactive_trip_falls_to_zero(database: AsyncEngine) -> None:
    await store(database, [event("click_trip", trip_id=TRIP, timestamp=days_ago(8))])
    async with database.begin() as connection:
        await connection.execute(update(TripInteraction).values(clicks_7d=1))
    assert await aggregate_trips(database) == 1
    (trip,) = await rows(database, TripInteraction)
    assert (trip.click_count, trip.clicks_7d) == (1, 0)
    assert await aggregate_trips(database) == 0


async def test_dwell_time_is_averaged_over_visits(database: AsyncEngine) -> None:
    durations = (10, 20, 61)
    await store(
        database,
        [event("trip_dwell_time", trip_id=TRIP, event_data={"duration_seconds": seconds}) for seconds in durations],
    )
    await aggregate_trips(database)
    (trip,) = await rows(database, TripInteraction)
    assert (trip.total_dwell_time_seconds, trip.avg_dwell_time_seconds) == (91, 30)


async def test_wrong_counts_and_rates_are_repaired(database: AsyncEngine) -> None:
    names = ["impression"] * 4 + ["click_trip"] * 2 + ["save_trip", "contact_phone", "booking_start"]
    await store(database, [event(name, trip_id=TRIP) for name in names])
    (right,) = await rows(database, TripInteraction)
    spoilt = {"impression_count": 0, "click_count": None, "save_count": 0, "click_through_rate": Decimal("0.9")}
    async with database.begin() as connection:
        await connection.execute(update(TripInteraction).values(spoilt))
    await aggregate_trips(database)
    (trip,) = await rows(database, TripInteraction)
    for name in (*spoilt, "save_rate", "contact_rate", "booking_start_count", "last_clicked_at"):
        assert trip._mapping[name] == right._mapping[name], name


async def test_counts_survive_the_removal_of_events(database: AsyncEngine) -> None:
    await store(database, [event("click_trip", trip_id=TRIP, timestamp=days_ago(40))])
    await remove_old(database, 30)
    await store(database, [event("impression", trip_id=TRIP)])
    await aggregate_trips(database)
    (trip,) = await rows(database, TripInteraction)
    assert (trip.click_count, trip.impression_count) == (1, 1)


async def test_events_of_other_writers_are_counted(database: AsyncEngine) -> None:
    await store(database, [event("impression", trip_id=TRIP)])
    async with database.begin() as connection:
        await connection.execute(delete(TripInteraction))
    await aggregate_trips(database)
    (trip,) = await rows(database, TripInteraction)
    assert (trip.trip_id, trip.impression_count) == (TRIP, 1)


async def test_aggregation_is_idempotent(database: AsyncEngine) -> None:
    await store(database, [event(name, trip_id=trip) for trip in (1, 2) for name in ("impression", "click_trip")])

    async def figures() -> list[dict[str, object]]:
        await aggregate_trips(database)
        return [dict(trip._mapping) | {"updated_at": None} for trip in await rows(database, TripInteraction)]

    assert await figures() == await figures()


async def test_trips_beyond_a_chunk_are_counted(database: AsyncEngine) -> None:
    values = [{"trip_id": trip, "clicks_7d": 1} for trip in range(1, trips.CHUNK + 6)]
    async with database.begin() as connection:
        await connection.execute(insert(TripInteraction), values)
    assert await aggregate_trips(database) == len(values)
    assert {trip.clicks_7d for trip in await rows(database, TripInteraction)} == {0}
