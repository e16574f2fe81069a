from datetime import date, timedelta
from pathlib import Path

import pytest

from scripts.early_settings import early_settings
from scripts.walkthrough.catalogue_age import MOST_DAYS, RECORD, discard_outdated, record_catalogue
from scripts.walkthrough.search_demo import first_of_each_title, order_of_equals, relaxed_notes

TRIP = {
    "startDate": "2027-10-03",
    "effectivePrice": "3200.00",
    "template": {"difficultyLevel": 4, "primaryCountry": {"id": 3, "name": "India"}},
}


def test_relaxed_result_says_what_is_not_as_asked() -> None:
    asked = {"selected_countries": [1], "month": 12, "difficulty": 5, "budget": 2500}
    assert relaxed_notes(TRIP, asked) == [
        "October instead of December",
        "difficulty 4 instead of 5",
        "above the budget of 2,500",
        "India, on the same continent",
    ]


def test_what_is_as_asked_is_not_mentioned() -> None:
    assert relaxed_notes(TRIP, {"selected_countries": [3], "month": 10, "difficulty": 4, "budget": 3200}) == []
    assert relaxed_notes(TRIP, {}) == []


def test_only_the_best_departure_of_a_trip_is_shown() -> None:
    titles = ((1, "Your Own Spain"), (2, "Your Own Spain"), (3, "Japan by Train"), (4, "Your Own Spain"))
    trips = [{"id": number, "template": {"id": number, "title": title}} for number, title in titles]
    assert [trip["id"] for trip in first_of_each_title(trips)] == [1, 3]


TODAY = date(2026, 11, 25)


@pytest.mark.parametrize(("days", "stays"), [(0, True), (MOST_DAYS, True), (MOST_DAYS + 1, False)])
def test_data_of_a_catalogue_that_has_left_are_deleted(tmp_path: Path, days: int, stays: bool) -> None:
    (tmp_path / "postgres").mkdir()
    record_catalogue(tmp_path, TODAY - timedelta(days=days))
    discard_outdated(tmp_path, TODAY)
    assert (tmp_path / "postgres").exists() == stays


@pytest.mark.parametrize("record", [None, f"{TODAY} of-another-sample"])
def test_data_of_another_sample_are_deleted(tmp_path: Path, record: str | None) -> None:
    (tmp_path / "postgres").mkdir()
    if record:
        (tmp_path / RECORD).write_text(record)
    discard_outdated(tmp_path, TODAY)
    assert not (tmp_path / "postgres").exists()


@pytest.mark.parametrize(
    ("trips", "sentence"),
    [
        ([(60, "2027-01-01"), (50, "2027-01-01")], ""),
        ([(60, "2027-01-01"), (60, "2027-02-01")], " Equal scores: the earlier start comes first."),
        (
            [(60, "2099-12-31"), (60, "2099-12-31"), (50, "2027-02-01")],
            " Equal scores and dates: the departure with the smaller number comes first.",
        ),
    ],
)
def test_caption_explains_the_order_of_equals_that_are_shown(trips: list[tuple[int, str]], sentence: str) -> None:
    assert order_of_equals([{"match_score": score, "startDate": start} for score, start in trips]) == sentence


def test_port_is_known_before_the_servers_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "ELASTICSEARCH_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PORT", "5123")
    assert early_settings().port == 5123
