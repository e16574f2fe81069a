from typing import Any

import pytest

from scoring.availability import bookable
from scoring.context import SearchContext
from scoring.filters import candidate_filter
from tests.scoring.builders import FRANCE, KENYA, PRIVATE, TODAY, departure, relaxed, search

Trip = dict[str, Any]
PAST_AND_SOLD_OUT: Trip = {"start": "2020-01-01", "spots": 0}


def is_candidate(searched: SearchContext, **trip: Any) -> bool:
    return candidate_filter(searched).matches_all([departure(**trip)]) == [True]


@pytest.mark.parametrize("searched", [search(), relaxed(), search(preferred_type_id=3), relaxed(preferred_type_id=4)])
class TestBothSearches:
    def test_bookable_trip_is_candidate(self, searched: SearchContext) -> None:
        assert is_candidate(searched)

    @pytest.mark.parametrize(
        "trip",
        [
            {"active": False},
            {"status": "Cancelled"},
            {"status": "Full"},
            {"spots": 0},
            {"start": "2026-11-23"},
            {"start": "2028-01-01"},
        ],
    )
    def test_unbookable_trip_is_no_candidate(self, searched: SearchContext, trip: Trip) -> None:
        assert not is_candidate(searched, **trip)

    @pytest.mark.parametrize("start", ["2026-11-24", "2027-12-31"])
    def test_candidates_start_until_end_of_next_year(self, searched: SearchContext, start: str) -> None:
        assert is_candidate(searched, start=start)


class TestPrimary:
    @pytest.mark.parametrize(
        ("country", "continent", "found"),
        [
            (str(KENYA), "Africa", True),
            ("77", "Oceania", True),
            ("19", "Africa", False),
            (str(FRANCE), "Europe", False),
            (None, None, False),
        ],
    )
    def test_countries_and_continents_are_a_union(
        self, country: str | None, continent: str | None, found: bool
    ) -> None:
        wanted = search(selected_countries=[KENYA], selected_continents=["Oceania"])
        assert is_candidate(wanted, country=country, continent=continent) is found

    @pytest.mark.parametrize(("type_", "found"), [("3", True), ("4", False), (None, False)])
    def test_type_must_match(self, type_: str | None, found: bool) -> None:
        assert is_candidate(search(preferred_type_id=3), type=type_) is found

    @pytest.mark.parametrize(("difficulty", "levels"), [(3, {2, 3, 4}), (1, {1, 2}), (5, {4, 5}), (0, {1})])
    def test_difficulty_tolerance_is_one(self, difficulty: int, levels: set[int]) -> None:
        assert {level for level in range(1, 6) if is_candidate(search(difficulty=difficulty), level=level)} == levels

    @pytest.mark.parametrize(("price", "found"), [(433_32, True), (433_33, False)])
    def test_price_is_at_most_130_percent(self, price: int, found: bool) -> None:
        assert is_candidate(search(budget="333.33"), price=price) is found

    @pytest.mark.parametrize(
        ("dates", "inside", "outside"),
        [
            ({"year": 2027}, ["2027-01-01", "2027-12-31"], ["2026-12-31"]),
            ({"year": 2026}, ["2026-11-24", "2026-12-31"], ["2026-11-23", "2027-01-01"]),
            ({"month": 12}, ["2026-12-01", "2027-12-31"], ["2026-11-30", "2027-01-01"]),
            ({"year": 2027, "month": 2}, ["2027-02-01", "2027-02-28"], ["2027-01-31", "2027-03-01"]),
            ({"start_date": "2027-06-01"}, ["2027-06-01"], ["2027-05-31"]),
            ({"start_date": "2026-11-24"}, ["2026-11-24"], []),
            ({"start_date": "2027-06-01", "year": 2027}, ["2027-01-01"], []),
            ({"start_date": "2027-06-01", "month": 3}, [], ["2027-03-01"]),
        ],
    )
    def test_dates_must_match(self, dates: dict[str, Any], inside: list[str], outside: list[str]) -> None:
        assert all(is_candidate(search(**dates), start=start) for start in inside)
        assert not any(is_candidate(search(**dates), start=start) for start in outside)

    @pytest.mark.parametrize("year", [1, 1999, 2028, 9999])
    def test_year_without_departures_has_no_candidates(self, year: int) -> None:
        assert not is_candidate(search(year=year))
        assert not is_candidate(relaxed(year=year), start="2027-04-15")


class TestRelaxed:
    @pytest.mark.parametrize(
        ("country", "continent", "found"),
        [
            (str(KENYA), "Africa", True),
            ("19", "Africa", True),
            ("77", "Oceania", True),
            (str(FRANCE), "Europe", False),
            (None, None, False),
        ],
    )
    def test_countries_are_widened_to_continents(self, country: str | None, continent: str | None, found: bool) -> None:
        wanted = relaxed(selected_countries=[KENYA, 99_999], selected_continents=["Oceania"])
        assert is_candidate(wanted, country=country, continent=continent) is found

    @pytest.mark.parametrize("type_", ["3", "4", str(PRIVATE), None])
    def test_any_type_is_candidate(self, type_: str | None) -> None:
        assert is_candidate(relaxed(preferred_type_id=3), type=type_)

    @pytest.mark.parametrize(("difficulty", "levels"), [(3, {1, 2, 3, 4, 5}), (1, {1, 2, 3}), (0, {1, 2})])
    def test_difficulty_tolerance_is_two(self, difficulty: int, levels: set[int]) -> None:
        assert {level for level in range(1, 6) if is_candidate(relaxed(difficulty=difficulty), level=level)} == levels

    @pytest.mark.parametrize(("price", "found"), [(499_99, True), (500_00, False)])
    def test_price_is_at_most_150_percent(self, price: int, found: bool) -> None:
        assert is_candidate(relaxed(budget="333.33"), price=price) is found

    @pytest.mark.parametrize(
        ("dates", "inside", "outside"),
        [
            ({"year": 2027, "month": 4}, ["2027-02-01", "2027-06-30"], ["2027-01-31", "2027-07-01"]),
            ({"year": 2027, "month": 1}, ["2026-11-24", "2027-03-31"], ["2027-04-01"]),
            ({"year": 2028, "month": 1}, ["2027-11-01", "2027-12-31"], ["2027-10-31"]),
            ({"year": 2026}, ["2026-11-24", "2027-02-28"], ["2027-03-01"]),
            ({"year": 2028}, ["2027-11-01"], ["2027-10-31"]),
            ({"month": 12}, ["2026-12-01", "2027-01-31", "2027-02-28", "2027-10-01"], ["2027-03-01", "2027-09-30"]),
            ({"month": 1}, ["2026-11-24", "2027-01-01", "2027-03-31"], ["2027-04-01", "2027-10-31"]),
            ({"start_date": "2027-06-01"}, ["2026-11-24"], []),
        ],
    )
    def test_dates_are_widened_by_two_months(
        self, dates: dict[str, Any], inside: list[str], outside: list[str]
    ) -> None:
        assert all(is_candidate(relaxed(**dates), start=start) for start in inside)
        assert not any(is_candidate(relaxed(**dates), start=start) for start in outside)

    def test_primary_results_are_excluded(self) -> None:
        again = search().relaxed((1, 2))
        assert [id_ for id_ in range(5) if is_candidate(again, id=id_)] == [0, 3, 4]


class TestPrivateSearch:
    @pytest.mark.parametrize("dates", [{}, {"year": 2027, "month": 2}, {"start_date": "2099-01-01"}])
    def test_private_search_ignores_dates_and_spots(self, dates: dict[str, Any]) -> None:
        wanted = search(preferred_type_id=PRIVATE, **dates)
        assert is_candidate(wanted, type=str(PRIVATE), **PAST_AND_SOLD_OUT)
        assert not is_candidate(wanted, type="3")

    @pytest.mark.parametrize("trip", [{"active": False}, {"status": "Full"}, {"level": 5}, {"price": 10**9}])
    def test_private_search_has_other_conditions(self, trip: Trip) -> None:
        wanted = search(preferred_type_id=PRIVATE, difficulty=3, budget=1000)
        assert not is_candidate(wanted, **{"type": str(PRIVATE), **trip})

    def test_relaxed_private_search_adds_bookable_types(self) -> None:
        wanted = relaxed(preferred_type_id=PRIVATE, year=2026, month=12)
        assert is_candidate(wanted, type=str(PRIVATE), **PAST_AND_SOLD_OUT)
        assert is_candidate(wanted, type="3", start="2027-07-01")
        assert is_candidate(wanted, type=None)
        assert not is_candidate(wanted, type="3", spots=0)
        assert not is_candidate(wanted, type="3", start="2026-11-23")
        assert not is_candidate(wanted, type="3", start="2028-01-01")

    def test_private_type_id_comes_from_lookups(self) -> None:
        assert not is_candidate(search(preferred_type_id=11), type="11", **PAST_AND_SOLD_OUT)


@pytest.mark.parametrize(
    ("trip", "offered"),
    [
        ({}, True),
        ({"start": TODAY.isoformat(), "spots": 1}, True),
        ({"start": "2099-12-31"}, True),
        ({"start": "2026-11-23"}, False),
        ({"spots": 0}, False),
        ({"status": "Full"}, False),
        ({"status": "Cancelled"}, False),
        ({"active": False}, False),
    ],
)
def test_departure_is_bookable_as_the_rule_says(trip: Trip, offered: bool) -> None:
    assert bookable(TODAY).matches_all([departure(**trip)]) == [offered]
