import pytest

from scripts.walkthrough.run import api_port
from scripts.walkthrough.search_demo import first_of_each_template, order_of_equals, relaxed_notes

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
    trips = [{"id": number, "template": {"id": template}} for number, template in ((1, 7), (2, 7), (3, 8), (4, 7))]
    assert [trip["id"] for trip in first_of_each_template(trips)] == [1, 3]


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
    assert api_port() == 5123
