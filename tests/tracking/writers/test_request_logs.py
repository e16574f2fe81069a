"""Rows of the log of recommendation requests."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.tables import BrowsingSession, RecommendationRequest, User
from tests.support.rows import rows
from tests.support.tracking.entries import PERSON, SESSION, request_log
from tracking.writers.batches import store


async def test_row_has_preferences_and_results(database: AsyncEngine) -> None:
    said = {
        "request_id": uuid4(),
        "session_id": "a session",
        "created_at": datetime(2026, 11, 24, 9, 30, tzinfo=UTC),
        "preferences": {"year": 2027},
        "selected_countries": [3, 1],
        "selected_continents": ["North & Central America"],
        "preferred_type_id": 7,
        "preferred_theme_ids": [2],
        "min_duration": 5,
        "max_duration": 30,
        "difficulty": 2,
        "year": "2027",
        "month": None,
        "response_time_ms": 12,
        "total_candidates": 40,
        "primary_count": 1,
        "relaxed_count": 2,
        "result_trip_ids": [5, 3, 9],
        "algorithm_version": "v2",
    }
    await store(database, [request_log(budget=15000.5, result_scores=[90, 40, 50], **said)])
    (row,) = await rows(database, RecommendationRequest)
    assert row._mapping.items() >= said.items()
    assert row.budget == Decimal("15000.50")
    assert row.result_scores == [90, 40, 50]


async def test_score_statistics_are_stored(database: AsyncEngine) -> None:
    await store(database, [request_log(relaxed_count=1, result_trip_ids=[5, 3, 9], result_scores=[90, 40, 50])])
    (row,) = await rows(database, RecommendationRequest)
    # The deviation of these three themselves, not of what they could be a sample of.
    figures = (row.top_score, row.avg_score, row.min_score, row.score_std_dev)
    assert figures == (90, 60, 40, Decimal("21.60"))
    assert (row.final_count, row.has_relaxed_results, row.has_no_results) == (3, True, False)


async def test_empty_result_is_logged(database: AsyncEngine) -> None:
    await store(database, [request_log(primary_count=0, result_trip_ids=[], result_scores=[])])
    (row,) = await rows(database, RecommendationRequest)
    assert (row.final_count, row.has_relaxed_results, row.has_no_results) == (0, False, True)
    assert (row.top_score, row.avg_score, row.min_score, row.score_std_dev) == (None, None, None, None)


async def test_repeated_request_log_is_stored_once(database: AsyncEngine) -> None:
    log = request_log()
    await store(database, [log, log])
    await store(database, [log])
    assert len(await rows(database, RecommendationRequest)) == 1


@pytest.mark.parametrize("sent", [str(SESSION), str(SESSION).upper()])
async def test_known_session_identifies_the_user(database: AsyncEngine, sent: str) -> None:
    async with database.begin() as connection:
        user_id = (await connection.execute(insert(User).values(anonymous_id=PERSON).returning(User.id))).scalar_one()
        await connection.execute(
            insert(BrowsingSession).values(session_id=SESSION, anonymous_id=PERSON, user_id=user_id)
        )
    await store(database, [request_log(session_id=sent)])
    (row,) = await rows(database, RecommendationRequest)
    assert (row.session_id, row.user_id) == (sent, user_id)


@pytest.mark.parametrize("sent", [None, "", "x" * 64, str(UUID(int=5)), "'; DROP TABLE users; --"])
async def test_unknown_session_id_is_stored_unchanged(database: AsyncEngine, sent: str | None) -> None:
    await store(database, [request_log(session_id=sent)])
    (row,) = await rows(database, RecommendationRequest)
    assert (row.session_id, row.user_id) == (sent, None)
