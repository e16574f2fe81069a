"""Spellings that the old API accepted."""

from datetime import date
from itertools import product

import pytest

from schemas.enums import Continent
from schemas.lenient import iso_date

JOINED = (" ", "_", "-", "  ", " - ")
NAMES = {name: continent for continent in Continent for name in (continent.name, continent.value)} | {
    "NORTH_AMERICA": Continent.NORTH_AND_CENTRAL_AMERICA,
    "NORTH_CENTRAL_AMERICA": Continent.NORTH_AND_CENTRAL_AMERICA,
}


def spellings(name: str) -> set[str]:
    words = [word for word in name.replace("&", "and").replace("_", " ").split() if word.lower() != "and"]
    found = set()
    for joint, conjunction in product(JOINED, ("and", "AND", "&", "")):
        spelled = [words[0], conjunction, *words[1:]] if len(words) == 3 and conjunction else words
        text = joint.join(spelled)
        found |= {text, text.upper(), text.lower(), text.title(), f" {text} "}
    return found


@pytest.mark.parametrize("name", NAMES)
def test_continent_is_understood_in_every_spelling(name: str) -> None:
    for text in spellings(name):
        assert Continent.parse(text) is NAMES[name], text


@pytest.mark.parametrize("text", ["", " ", "&", "America", "Atlantis", "and"])
def test_unknown_continent_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="unknown continent"):
        Continent.parse(text)


CLOCKS = ("00:00", "10:30", "10:30:15", "23:59:59.999", "10:30:15.123456")
ZONES = ("", "Z", "+03:00", "-05:00", " 03:00", "+0300")


@pytest.mark.parametrize(
    ("separator", "clock", "zone"),
    [
        (separator, clock, zone)
        for separator, clock, zone in product("T ", CLOCKS, ZONES)
        if separator == "T" or zone != " 03:00"
    ],
)
def test_day_of_a_full_time_counts(separator: str, clock: str, zone: str) -> None:
    assert iso_date(f"2027-06-01{separator}{clock}{zone}") == date(2027, 6, 1)


@pytest.mark.parametrize("text", ["2027-06-01T25:00", "2027-13-01T00:00", "tomorrow", "2027-06-01T", "T10:00", ""])
def test_malformed_time_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="should be a date"):
        iso_date(text)
