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
    def test_take_a_trip_that_can_be_booked(self, searched: SearchContext) -> None:
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
    def test_leave_out_what_cannot_be_booked(self, searched: SearchContext, trip: Trip) -> None:
        assert not is_candidate(searched, **trip)

    @pytest.mark.parametrize("start", ["2026-11-24", "2027-12-31"])
    def test_reach_from_today_to_the_end_of_next_year(self, searched: SearchContext, start: str) -> None:
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
    def test_places_are_a_union(self, country: str | None, continent: str | None, found: bool) -> None:
        wanted = search(selected_countries=[KENYA], selected_continents=["Oceania"])
        assert is_candidate(wanted, country=country, continent=continent) is found

    @pytest.mark.parametrize(("type_", "found"), [("3", True), ("4", False), (None, False)])
    def test_the_type_is_asked_for(self, type_: str | None, found: bool) -> None:
        assert is_candidate(search(preferred_type_id=3), type=type_) is found

    @pytest.mark.parametrize(("difficulty", "levels"), [(3, {2, 3, 4}), (1, {1, 2}), (5, {4, 5}), (0, {1})])
    def test_difficulty_has_a_tolerance_of_one(self, difficulty: int, levels: set[int]) -> None:
        assert {level for level in range(1, 6) if is_candidate(search(difficulty=difficulty), level=level)} == levels

    @pytest.mark.parametrize(("price", "found"), [(433_32, True), (433_33, False)])
    def test_the_price_is_at_most_130_percent(self, price: int, found: bool) -> None:
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
    def test_dates_are_as_chosen(self, dates: dict[str, Any], inside: list[str], outside: list[str]) -> None:
        assert all(is_candidate(search(**dates), start=start) for start in inside)
        assert not any(is_candidate(search(**dates), start=start) for start in outside)

    @pytest.mark.parametrize("year", [1, 1999, 2028, 9999])
    def test_a_year_without_departures_finds_nothing(self, year: int) -> None:
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
    def test_countries_widen_to_their_continents(self, country: str | None, continent: str | None, found: bool) -> None:
        wanted = relaxed(selected_countries=[KENYA, 99_999], selected_continents=["Oceania"])
        assert is_candidate(wanted, country=country, continent=continent) is found

    @pytest.mark.parametrize("type_", ["3", "4", str(PRIVATE), None])
    def test_any_type_will_do(self, type_: str | None) -> None:
        assert is_candidate(relaxed(preferred_type_id=3), type=type_)

    @pytest.mark.parametrize(("difficulty", "levels"), [(3, {1, 2, 3, 4, 5}), (1, {1, 2, 3}), (0, {1, 2})])
    def test_difficulty_has_a_tolerance_of_two(self, difficulty: int, levels: set[int]) -> None:
        assert {level for level in range(1, 6) if is_candidate(relaxed(difficulty=difficulty), level=level)} == levels

    @pytest.mark.parametrize(("price", "found"), [(499_99, True), (500_00, False)])
    def test_the_price_is_at_most_150_percent(self, price: int, found: bool) -> None:
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

    def test_what_is_listed_already_is_left_out(self) -> None:
        again = search().relaxed((1, 2))
        assert [id_ for id_ in range(5) if is_candidate(again, id=id_)] == [0, 3, 4]


class TestPrivateSearch:
    @pytest.mark.parametrize("dates", [{}, {"year": 2027, "month": 2}, {"start_date": "2099-01-01"}])
    def test_has_no_date_and_no_spots_condition(self, dates: dict[str, Any]) -> None:
        wanted = search(preferred_type_id=PRIVATE, **dates)
        assert is_candidate(wanted, type=str(PRIVATE), **PAST_AND_SOLD_OUT)
        assert not is_candidate(wanted, type="3")

    @pytest.mark.parametrize("trip", [{"active": False}, {"status": "Full"}, {"level": 5}, {"price": 10**9}])
    def test_has_all_the_others(self, trip: Trip) -> None:
        wanted = search(preferred_type_id=PRIVATE, difficulty=3, budget=1000)
        assert not is_candidate(wanted, **{"type": str(PRIVATE), **trip})

    def test_relaxed_takes_other_types_that_can_be_booked_whenever_they_start(self) -> None:
        wanted = relaxed(preferred_type_id=PRIVATE, year=2026, month=12)
        assert is_candidate(wanted, type=str(PRIVATE), **PAST_AND_SOLD_OUT)
        assert is_candidate(wanted, type="3", start="2027-07-01")
        assert is_candidate(wanted, type=None)
        assert not is_candidate(wanted, type="3", spots=0)
        assert not is_candidate(wanted, type="3", start="2026-11-23")
        assert not is_candidate(wanted, type="3", start="2028-01-01")

    def test_goes_by_the_types_id_in_this_catalogue(self) -> None:
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
def test_on_offer_is_what_could_be_booked(trip: Trip, offered: bool) -> None:
    assert bookable(TODAY).matches_all([departure(**trip)]) == [offered]
