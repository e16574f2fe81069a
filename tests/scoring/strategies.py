"""Random catalogues and wishes that meet at the edges of the rules as often as not."""

import random
from dataclasses import asdict, fields, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from msgspec import Raw

from schemas.api.preferences import Preferences
from schemas.enums import Continent, Status
from schemas.index_document import TripDocument
from scoring.weights import DESCENDING, MIN_SHOWN_SCORE
from tests.scoring.reference import OWN, ReferencePreferences, ReferenceWeights, World, offered_start

TODAYS = (date(2026, 11, 24), date(2027, 1, 1), date(2027, 12, 31), date(2028, 2, 29), date(2027, 6, 15))
CONTINENTS = dict(enumerate(list(Continent) * 2, 1))
ANTARCTICA = 7
TYPES = (1, 2, 10)
THEMES = (1, 2, 3, 4, 5)
BUDGETS = tuple(map(Decimal, ("0.01", "33.33", "999.99", "1000", "2500.5", "7000", "7000.005", "99999999.99")))
DURATIONS = (1, 2, 5, 7, 8, 10, 12, 13, 14, 17, 20, 21, 24, 30, 40, 365)
STATUSES = (*Status, Status.OPEN, Status.LAST_PLACES)


def world(seed: int, size: int = 400) -> World:
    choose = random.Random(seed)
    today = TODAYS[seed % len(TODAYS)]
    continents = {country: name.value for country, name in CONTINENTS.items()}
    ids = choose.sample(range(1, 10_000), size)
    departures = [random_departure(choose, id_, today) for id_ in ids]
    return World(f"seed {seed}", today, TYPES[seed % len(TYPES)], continents, departures)


def random_departure(choose: random.Random, id_: int, today: date) -> TripDocument:
    country = choose.choice((None, *CONTINENTS))
    start = _start(choose, today)
    active, spots, status = choose.random() < 0.95, choose.choice((0, 1, 1, 5)), choose.choice(STATUSES).value
    return TripDocument(
        id=id_,
        active=active,
        country=None if country is None else str(country),
        continent=None if country is None else CONTINENTS[country].value,
        antarctica=country == ANTARCTICA,
        type=choose.choice((None, *(str(type_) for type_ in TYPES))),
        themes=[str(theme) for theme in sorted(choose.sample(THEMES, choose.choice((0, 1, 2, 2, 4))))],
        level=choose.randint(1, 5),
        start=start.isoformat(),
        month=start.month,
        days=max(1, choose.choice(DURATIONS) + choose.choice((-11, -8, -7, -5, -4, -1, 0, 0, 0, 1, 4, 5, 7, 8, 11))),
        price=_price(choose),
        spots=spots,
        status=status,
        offered_start=offered_start(start.isoformat(), active=active, spots=spots, status=status),
        version=1,
        trip=Raw(b"{}"),
    )


def _start(choose: random.Random, today: date) -> date:
    edges = (
        today,
        today - timedelta(1),
        today + timedelta(choose.choice((1, 29, 30, 31))),
        date(today.year + 1, 12, 31),
        date(today.year + 2, 1, 1),
        date(2099, 12, 31),
        _month_end(choose, today),
        _month_end(choose, today) + timedelta(1),
    )
    return choose.choice(edges) if choose.random() < 0.5 else today + timedelta(choose.randint(-30, 740))


def _month_end(choose: random.Random, today: date) -> date:
    month = choose.randint(0, 23)
    return date(today.year + month // 12, month % 12 + 1, 1) - timedelta(1)


def _price(choose: random.Random) -> int:
    edge = choose.choice(BUDGETS) * choose.choice((100, 110, 120, 130, 150))
    return min(max(0, int(edge) + choose.choice((-1, 0, 0, 1, 2))), 9_999_999_999)


def perhaps(absent: Any, wish: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly absent: all the wishes at once find nothing in any catalogue."""
    return st.one_of(st.just(absent), st.just(absent), wish)


def some(values: Any) -> st.SearchStrategy[frozenset[Any]]:
    return st.frozensets(st.sampled_from(values), min_size=1, max_size=4)


def preferences_on(today: date) -> st.SearchStrategy[ReferencePreferences]:
    years = st.integers(-2, 3).map(lambda shift: today.year + shift)
    days = st.sampled_from((-40, 0, 1, 30, 200)).map(lambda shift: today + timedelta(shift))
    return st.builds(
        ReferencePreferences,
        countries=perhaps(frozenset(), some((*CONTINENTS, 99_999))),
        continents=perhaps(frozenset(), some([name.value for name in Continent])),
        type_id=perhaps(None, st.sampled_from((*TYPES, *TYPES, 99_999))),
        themes=st.just(frozenset()) | some((*THEMES, 99_999)),
        shortest=perhaps(1, st.sampled_from(DURATIONS)),
        longest=perhaps(365, st.sampled_from(DURATIONS)),
        budget=perhaps(None, st.sampled_from((*BUDGETS, *BUDGETS[3:]))),
        difficulty=st.none() | st.integers(0, 5),
        year=perhaps(None, years | years | st.sampled_from((1, 1999, 9999))),
        month=perhaps(None, st.integers(1, 12)),
        start_date=perhaps(None, days),
    )


BONUSES = st.sampled_from((0, 1, 5, 30, 50, 100)) | st.integers(0, 100)


@st.composite
def other_weights(draw: st.DrawFn) -> ReferenceWeights:
    """Points of a weight set that validation accepts."""
    numbers = {
        field.name: draw(BONUSES) * (1 if getattr(OWN, field.name) > 0 else -1) for field in fields(ReferenceWeights)
    }
    for alternatives in DESCENDING:
        in_order = sorted((numbers[name] for name in alternatives), reverse=True)
        numbers.update(zip(alternatives, in_order, strict=True))
    return replace(OWN, **{**numbers, "base": draw(st.integers(MIN_SHOWN_SCORE, 60) | BONUSES)})


def shows_anything(points: ReferenceWeights) -> bool:
    bonuses = [number for number in asdict(points).values() if number > 0]
    return bool(sum(bonuses) >= MIN_SHOWN_SCORE)


WEIGHTS = st.just(OWN) | other_weights().filter(shows_anything)


def body(preferences: ReferencePreferences, *, as_text: bool) -> dict[str, Any]:
    """The wishes as a client sends them."""
    number = str if as_text else int
    sent: dict[str, Any] = {
        "selected_countries": [number(id_) for id_ in preferences.countries],
        "selected_continents": list(preferences.continents),
        "preferred_type_id": preferences.type_id,
        "preferred_theme_ids": [number(id_) for id_ in preferences.themes],
        "min_duration": number(preferences.shortest),
        "max_duration": number(preferences.longest),
        "budget": None
        if preferences.budget is None
        else str(preferences.budget)
        if as_text
        else float(preferences.budget),
        "difficulty": preferences.difficulty,
        "year": "all" if preferences.year is None else number(preferences.year),
        "month": "all" if preferences.month is None else number(preferences.month),
        "start_date": preferences.start_date and preferences.start_date.isoformat(),
    }
    assert sent.keys() == Preferences.model_fields.keys()
    return sent


def _number_or_text(numbers: st.SearchStrategy[int]) -> st.SearchStrategy[Any]:
    return numbers | numbers.map(str)


_IDS = st.lists(_number_or_text(st.integers(1, 300) | st.integers(1, 14) | st.just(2**40)), max_size=6)
_DAYS = _number_or_text(st.integers(0, 40) | st.integers(0, 400))
_CONTINENT_NAMES = (*Continent, "SOUTH_AMERICA", "oceania")

PREFERENCE_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "selected_countries": _IDS,
    "selected_continents": st.lists(st.sampled_from(_CONTINENT_NAMES), max_size=4),
    "preferred_type_id": st.integers(0, 12),
    "preferred_theme_ids": _IDS,
    "min_duration": _DAYS,
    "max_duration": _DAYS,
    "budget": st.integers(0, 20_000) | st.decimals(0, 20_000, places=3).map(str),
    "difficulty": st.integers(0, 5),
    "year": st.just("all") | _number_or_text(st.integers(2025, 2028)),
    "month": st.just("all") | st.integers(1, 12),
    "start_date": st.dates().map(str) | st.dates(date(2026, 11, 1), date(2028, 12, 31)).map(str),
}
"""Valid JSON values of each preference, as clients send them to the sample catalogue."""

assert PREFERENCE_VALUES.keys() == Preferences.model_fields.keys()
