import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.http.errors import ApiError
from app.http.requests import read_model
from schemas.api.preferences import Preferences
from schemas.enums import Continent

LISTS = ("selected_countries", "selected_continents", "preferred_theme_ids")
NUMBERS = ("preferred_type_id", "min_duration", "max_duration", "budget", "difficulty", "year", "month")
FIELDS = tuple(Preferences.model_fields)


def parse(body: object) -> Preferences:
    return read_model(Preferences, body)


def problems(body: object) -> dict[str, str]:
    with pytest.raises(ApiError) as refused:
        parse(body)
    return {field.name: str(field.problem) for field in refused.value.details}


class TestNothing:
    @pytest.mark.parametrize("body", [{}, {"colour": "blue"}, dict.fromkeys(FIELDS), dict.fromkeys(FIELDS, "")])
    def test_empty_and_unknown_fields_mean_defaults(self, body: object) -> None:
        assert parse(body) == Preferences()

    def test_empty_lists_mean_defaults(self) -> None:
        assert parse({name: [] for name in LISTS}) == Preferences()

    def test_durations_default_to_a_day_and_a_year(self) -> None:
        parsed = parse({"min_duration": 0, "max_duration": "0"})
        assert (parsed.min_duration, parsed.max_duration) == (1, 365)

    @pytest.mark.parametrize("zero", [0, "0", 0.0, "0.00", "-0"])
    def test_zero_type_or_budget_is_none(self, zero: object) -> None:
        parsed = parse({"preferred_type_id": zero, "budget": zero})
        assert (parsed.preferred_type_id, parsed.budget) == (None, None)

    def test_zero_difficulty_is_zero(self) -> None:
        assert parse({"difficulty": 0}).difficulty == 0

    @pytest.mark.parametrize("every", ["all", "ALL", " all "])
    def test_all_years_and_months_are_none(self, every: str) -> None:
        parsed = parse({"year": every, "month": every})
        assert (parsed.year, parsed.month) == (None, None)


class TestForms:
    @pytest.mark.parametrize("five", [5, 5.0, "5", " 5 ", "+5", "5.0", "05", "0.5e1"])
    def test_numeric_text_is_a_number(self, five: object) -> None:
        parsed = parse(dict.fromkeys(NUMBERS, five) | {"selected_countries": [five]})
        assert parsed.model_dump(include=set(NUMBERS)) == dict.fromkeys(NUMBERS, 5)
        assert parsed.selected_countries == (5,)

    @pytest.mark.parametrize("name", ["North & Central America", "NORTH_AND_CENTRAL_AMERICA", "north america"])
    def test_continent_accepts_display_and_enum_name(self, name: str) -> None:
        parsed = parse({"selected_continents": [name, name.swapcase()]})
        assert parsed.selected_continents == (Continent.NORTH_AND_CENTRAL_AMERICA,)

    @pytest.mark.parametrize("id_", [2**31, -(2**31) - 1, pytest.param(10**5000, id="huge"), 1e300, "1e999"])
    def test_oversized_id_becomes_unmatchable(self, id_: object) -> None:
        parsed = parse({"selected_countries": [id_], "preferred_type_id": id_})
        assert parsed.selected_countries == (-(2**31),)
        assert parsed.preferred_type_id == -(2**31)

    @pytest.mark.parametrize(
        ("sent", "exact"),
        [(1000.1, "1000.1"), (0.1 + 0.2, "0.30000000000000004"), ("8451.25", "8451.25"), (1e300, "99999999.99")],
    )
    def test_budget_is_exact_decimal(self, sent: object, exact: str) -> None:
        assert parse({"budget": sent}).budget == Decimal(exact)

    def test_five_hundred_entries_are_accepted(self) -> None:
        assert len(parse({"preferred_theme_ids": list(range(500))}).preferred_theme_ids) == 500

    def test_start_date_applies_only_without_year(self) -> None:
        assert parse({"start_date": "2027-06-01"}).earliest_start == date(2027, 6, 1)
        assert parse({"start_date": "2027-06-01", "year": "all"}).earliest_start == date(2027, 6, 1)
        assert parse({"start_date": "2027-06-01", "year": 2027}).earliest_start is None


class TestRefusals:
    @pytest.mark.parametrize("body", [None, [], "text", 5, True, [{}]])
    def test_non_object_body_is_rejected(self, body: object) -> None:
        assert problems(body) == {"body": "should be a JSON object"}

    @pytest.mark.parametrize("name", NUMBERS)
    @pytest.mark.parametrize(
        "wrong", ["many", "1_0", "0x1", "١", [], [5], {}, True, float("nan"), float("inf"), "nan", "Infinity", "5,0"]
    )
    def test_non_number_is_rejected_by_name(self, name: str, wrong: object) -> None:
        assert "should be a number" in problems({name: wrong})[name]

    @pytest.mark.parametrize("name", LISTS)
    @pytest.mark.parametrize("wrong", [5, "5", {}, False, {"0": 1}])
    def test_non_list_is_rejected_by_name(self, name: str, wrong: object) -> None:
        assert "should be a list" in problems({name: wrong})[name]

    @pytest.mark.parametrize("name", LISTS)
    def test_over_five_hundred_entries_are_rejected(self, name: str) -> None:
        assert problems({name: [1] * 501}) == {name: "should have at most 500 entries, not 501"}

    @pytest.mark.parametrize("wrong", [None, "", "x", True, [1], 1.5])
    def test_invalid_list_entry_is_named_by_position(self, wrong: object) -> None:
        assert problems({"selected_countries": [1, wrong]})["selected_countries"].startswith("entry 2 ")

    def test_unknown_continent_error_lists_known_ones(self) -> None:
        message = problems({"selected_continents": ["Asia", "Atlantis"]})["selected_continents"]
        assert message.startswith('entry 2 ("Atlantis"): unknown continent; one of: Africa, Asia')

    @pytest.mark.parametrize(
        ("name", "wrong"),
        [
            ("difficulty", 6),
            ("difficulty", -1),
            ("difficulty", 2.5),
            ("year", 0),
            ("year", 10000),
            ("month", 0),
            ("month", "13"),
            ("min_duration", -1),
            ("max_duration", 7.5),
            ("budget", -0.01),
            ("budget", "0." + "1" * 31),
            ("preferred_type_id", 1.5),
            ("start_date", "01/06/2027"),
            ("start_date", "2027-02-30"),
            ("start_date", 20270601),
        ],
    )
    def test_out_of_range_value_is_rejected(self, name: str, wrong: object) -> None:
        assert set(problems({name: wrong})) == {name}

    def test_all_invalid_fields_are_reported(self) -> None:
        assert set(problems({"budget": "much", "year": "soon", "selected_countries": ["x", "y"]})) == {
            "budget",
            "year",
            "selected_countries",
        }

    def test_long_text_is_truncated_in_errors(self) -> None:
        assert len(problems({"budget": "x" * 50_000})["budget"]) < 100


class TestSearchType:
    @pytest.mark.parametrize(
        ("body", "search_type"),
        [
            ({}, "exploration"),
            ({"selected_countries": [1]}, "exploration"),
            ({"min_duration": 5, "max_duration": 30}, "exploration"),
            ({"start_date": "2027-01-01", "budget": 5}, "exploration"),
            ({"min_duration": 1, "max_duration": 365, "year": 2027}, "exploration"),
            ({"selected_countries": [1], "selected_continents": ["Asia"]}, "focused_search"),
            ({"preferred_type_id": 1, "preferred_theme_ids": [1]}, "focused_search"),
            ({"difficulty": 0, "budget": 1}, "focused_search"),
            ({"year": 2027, "month": 1}, "focused_search"),
            ({"max_duration": 30, "month": 1}, "focused_search"),
        ],
    )
    def test_two_filters_make_search_focused(self, body: dict[str, Any], search_type: str) -> None:
        assert parse(body).search_type == search_type


class TestCanonical:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({}, {"year": "all", "budget": 0, "min_duration": 1, "max_duration": "365", "x": 1}),
            ({"selected_countries": [3, 1, "3"]}, {"selected_countries": [1, 3]}),
            ({"selected_countries": [2**40]}, {"selected_countries": [2**50]}),
            ({"selected_continents": ["Asia", "AFRICA"]}, {"selected_continents": ["africa", "asia", "asia"]}),
            ({"budget": "1500.00"}, {"budget": 1.5e3}),
            ({"budget": 1e12}, {"budget": 2e12}),
            ({"year": 2027, "start_date": "2027-06-01"}, {"year": "2027"}),
            ({"month": "06"}, {"month": 6.0}),
        ],
    )
    def test_equal_preferences_have_equal_canonical_text(self, one: object, other: object) -> None:
        assert parse(one).canonical() == parse(other).canonical()

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({}, {"difficulty": 0}),
            ({"selected_countries": [1]}, {"preferred_theme_ids": [1]}),
            ({"budget": "1500.01"}, {"budget": 1500}),
            ({"start_date": "2027-06-01"}, {}),
            ({"year": 2027}, {"year": 2026}),
        ],
    )
    def test_different_preferences_differ_in_canonical_text(self, one: object, other: object) -> None:
        assert parse(one).canonical() != parse(other).canonical()

    def test_canonical_text_can_be_parsed(self) -> None:
        body = {
            "selected_countries": ["7", 2],
            "budget": 12.5,
            "start_date": "2027-06-01",
            "selected_continents": ["asia"],
        }
        parsed = parse(body)
        assert parse(json.loads(parsed.canonical())) == parsed


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.from_regex(r"-?\d+(e\d+)?")
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(JSON | st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=len(FIELDS)))
def test_any_json_is_parsed_or_rejected_by_field(body: object) -> None:
    fields, canonical = outcome(body)
    assert fields <= {*FIELDS, "body"}
    assert not canonical or outcome(json.loads(canonical)) == (set(), canonical)


def outcome(body: object) -> tuple[set[str], str]:
    try:
        return set(), parse(body).canonical()
    except ApiError as refused:
        return {field.name for field in refused.details}, ""
