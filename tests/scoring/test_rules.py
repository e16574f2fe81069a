from typing import Any

import pytest

from schemas.index_document import TripDocument
from scoring.context import SearchContext
from scoring.explain import explain
from scoring.rules import ScoreLine, applicable_rules
from tests.scoring.builders import (
    ANTARCTICA,
    KENYA,
    PLAIN_DAYS,
    PLAIN_DAYS_RELAXED,
    PRIVATE,
    departure,
    relaxed,
    search,
)


def breakdown(trip: TripDocument, searched: SearchContext) -> list[ScoreLine]:
    (lines,) = explain([trip], applicable_rules(searched))
    return lines


def labels(searched: SearchContext, **trip: Any) -> list[str]:
    """Beyond the base score; of a trip whose duration counts for nothing unless it is given."""
    trip.setdefault("days", PLAIN_DAYS_RELAXED if searched.is_relaxed else PLAIN_DAYS)
    return [line.label for line in breakdown(departure(**trip), searched)][1:]


def test_every_trip_has_base_score() -> None:
    line = breakdown(departure(), search())[0]
    assert (line.rule, line.points, line.label) == ("base", 30, "Base Score [+30]")


class TestThemes:
    @pytest.mark.parametrize(
        ("wanted", "themes", "label"),
        [
            ([1, 2], ["1", "2", "3"], ["Excellent Theme Match [+25]"]),
            ([1, 2, 3], ["3", "1"], ["Excellent Theme Match [+25]"]),
            ([1, 2], ["2", "3"], ["Good Theme Match [+12]"]),
            ([1, 1, "1"], ["1", "2"], ["Good Theme Match [+12]"]),
            ([1, 2], ["3"], ["No Theme Match [-15]"]),
            ([99_999], [], ["No Theme Match [-15]"]),
            ([], ["1"], []),
        ],
    )
    def test_themes_are_counted(self, wanted: list[Any], themes: list[str], label: list[str]) -> None:
        assert labels(search(preferred_theme_ids=wanted), themes=themes) == label


class TestDifficulty:
    @pytest.mark.parametrize(("level", "label"), [(2, []), (3, ["Perfect Difficulty [+15]"]), (4, [])])
    def test_only_exact_level_scores(self, level: int, label: list[str]) -> None:
        assert labels(search(difficulty=3), level=level) == label


class TestDuration:
    @pytest.mark.parametrize(
        ("days", "label"),
        [
            (12, ["Wrong Duration (12d) [-1000]"]),
            (13, []),
            (15, []),
            (16, ["Good Duration (16d) [+8]"]),
            (19, ["Good Duration (19d) [+8]"]),
            (20, ["Ideal Duration (20d) [+12]"]),
            (30, ["Ideal Duration (30d) [+12]"]),
            (31, ["Good Duration (31d) [+8]"]),
            (34, ["Good Duration (34d) [+8]"]),
            (35, []),
            (37, []),
            (38, ["Wrong Duration (38d) [-1000]"]),
        ],
    )
    def test_duration_is_ideal_good_neutral_or_wrong(self, days: int, label: list[str]) -> None:
        assert labels(search(min_duration=20, max_duration=30), days=days) == label

    @pytest.mark.parametrize(
        ("days", "label"),
        [
            (9, []),
            (10, ["Good Duration (10d) [+8]"]),
            (40, ["Good Duration (40d) [+8]"]),
            (41, []),
            (300, []),
        ],
    )
    def test_relaxed_search_never_disqualifies_duration(self, days: int, label: list[str]) -> None:
        assert labels(relaxed(min_duration=20, max_duration=30), days=days)[1:] == label

    @pytest.mark.parametrize(
        ("days", "label"),
        [
            (2, ["Wrong Duration (2d) [-1000]"]),
            (3, []),
            (6, ["Good Duration (6d) [+8]"]),
            (14, ["Good Duration (14d) [+8]"]),
            (15, []),
            (16, ["Good Duration (16d) [+8]"]),
            (24, ["Good Duration (24d) [+8]"]),
            (28, ["Wrong Duration (28d) [-1000]"]),
        ],
    )
    def test_reversed_durations_follow_same_formulas(self, days: int, label: list[str]) -> None:
        assert labels(search(min_duration=20, max_duration=10), days=days) == label

    @pytest.mark.parametrize("days", [1, 20, 300])
    def test_private_departure_has_flexible_duration(self, days: int) -> None:
        assert labels(search(min_duration=20, max_duration=30), days=days, type=str(PRIVATE)) == [
            "Flexible Duration [+12]"
        ]


class TestBudget:
    @pytest.mark.parametrize(
        ("price", "label"),
        [
            (0, ["Within Budget [+12]"]),
            (333_33, ["Within Budget [+12]"]),
            (333_34, ["Slightly Over (+10%) [+8]"]),
            (366_66, ["Slightly Over (+10%) [+8]"]),
            (366_67, ["Over Budget (+20%) [+5]"]),
            (399_99, ["Over Budget (+20%) [+5]"]),
            (400_00, []),
        ],
    )
    def test_budget_is_compared_to_the_cent(self, price: int, label: list[str]) -> None:
        assert labels(search(budget="333.33"), price=price) == label

    def test_percentages_are_exact(self) -> None:
        assert labels(search(budget=70), price=77_00) == ["Slightly Over (+10%) [+8]"]
        assert labels(search(budget="0.1"), price=12) == ["Over Budget (+20%) [+5]"]
        assert labels(search(budget="0.099999999999999999999999999999"), price=12) == []


class TestUrgency:
    @pytest.mark.parametrize(
        ("status", "label"),
        [("Guaranteed", ["Guaranteed [+7]"]), ("Last Places", ["Last Places [+15]"]), ("Open", []), ("odd", [])],
    )
    def test_urgent_status_scores(self, status: str, label: list[str]) -> None:
        assert labels(search(), status=status) == label

    @pytest.mark.parametrize(
        ("start", "label"),
        [
            ("2026-11-24", ["Soon (0d) [+7]"]),
            ("2026-12-24", ["Soon (30d) [+7]"]),
            ("2026-12-25", []),
        ],
    )
    def test_thirty_days_ahead_is_soon(self, start: str, label: list[str]) -> None:
        assert labels(search(), start=start) == label

    def test_private_departure_is_never_soon(self) -> None:
        assert labels(search(), start="2026-11-25", type=str(PRIVATE)) == ["Flexible Duration [+12]"]


class TestPlaces:
    ICE = {"country": str(ANTARCTICA), "continent": "Antarctica", "antarctica": True}  # noqa: RUF012

    @pytest.mark.parametrize(
        ("wanted", "trip", "label"),
        [
            ({"selected_countries": [KENYA]}, {}, ["Country Match [+15]"]),
            ({"selected_continents": ["Africa"]}, {}, ["Continent Match [+5]"]),
            ({"selected_countries": [KENYA], "selected_continents": ["Africa"]}, {}, ["Country Match [+15]"]),
            ({"selected_countries": [KENYA]}, {"country": None, "continent": None}, []),
            ({"selected_continents": ["Antarctica"]}, ICE, ["Country Match [+15]"]),
            ({"selected_continents": ["Antarctica"]}, {**ICE, "antarctica": False}, ["Continent Match [+5]"]),
            ({"selected_countries": [KENYA]}, ICE, []),
            ({}, ICE, []),
        ],
    )
    def test_country_scores_else_continent(
        self, wanted: dict[str, Any], trip: dict[str, Any], label: list[str]
    ) -> None:
        assert labels(search(**wanted), **trip) == label

    def test_continent_not_chosen_does_not_score(self) -> None:
        assert labels(relaxed(selected_countries=[KENYA]), country="19") == ["Expanded Result [-15]"]


class TestRelaxed:
    @pytest.mark.parametrize(
        ("type_", "label"), [("3", []), ("4", ["Different Type [-10]"]), (None, ["Different Type [-10]"])]
    )
    def test_different_or_absent_type_is_penalty(self, type_: str | None, label: list[str]) -> None:
        assert labels(relaxed(preferred_type_id=3), type=type_) == ["Expanded Result [-15]", *label]

    def test_no_preferred_type_is_no_penalty(self) -> None:
        assert labels(relaxed(), type="4") == ["Expanded Result [-15]"]


def test_labels_follow_rule_order() -> None:
    searched = relaxed(
        selected_countries=[KENYA],
        preferred_type_id=4,
        preferred_theme_ids=[1],
        difficulty=3,
        budget=1000,
    )
    trip = departure(days=10, themes=["1"], status="Last Places", start="2026-12-06")
    assert [(line.rule, line.label) for line in breakdown(trip, searched)] == [
        ("base", "Base Score [+30]"),
        ("expanded", "Expanded Result [-15]"),
        ("good_themes", "Good Theme Match [+12]"),
        ("different_type", "Different Type [-10]"),
        ("perfect_difficulty", "Perfect Difficulty [+15]"),
        ("ideal_duration", "Ideal Duration (10d) [+12]"),
        ("within_budget", "Within Budget [+12]"),
        ("last_places", "Last Places [+15]"),
        ("soon", "Soon (12d) [+7]"),
        ("country", "Country Match [+15]"),
    ]
