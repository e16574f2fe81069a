from scripts.walkthrough.search_demo import relaxed_notes

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
