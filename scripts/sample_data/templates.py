"""Trips in two languages: a kind of trip in a country, with the themes that suit both."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from itertools import accumulate
from random import Random
from typing import NamedTuple

from scripts.sample_data.countries import Place, places
from scripts.sample_data.people import COMPANIES
from scripts.sample_data.rows import Row, stamps
from scripts.sample_data.trip_types import KINDS, PACES, TAG_IDS, THEMES, TYPE_IDS, Kind


class Template(NamedTuple):
    row: Row
    tags: list[Row]
    countries: list[Row]


def templates(random: Random, count: int, today: date) -> Iterator[Template]:
    chooser = PlaceChooser(random)
    for number in range(1, count + 1):
        kind = KINDS[number % len(KINDS)]
        place = chooser.choose(kind)
        row = _row(random, number, kind, place)
        tags = _tags(random, kind)
        row |= _texts(random, kind, place, tags, row) | stamps(random, today)
        # Some trips have no type, some no country.
        row["trip_type_id"] = None if number % 41 == 0 else TYPE_IDS[kind.name]
        row["primary_country_id"] = None if number % 53 == 0 else place.id
        yield Template(row, [_tag_row(row, tag) for tag in tags], _visits(random, chooser, row, kind, place))


class PlaceChooser:
    """Draws countries that suit a kind of trip, the wanted ones more often."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._suitable = {kind.name: _suitable(kind) for kind in KINDS}
        self._weights = {
            name: list(accumulate(1 / (3 + rank) for rank, _ in ranked)) for name, ranked in self._suitable.items()
        }

    def choose(self, kind: Kind) -> Place:
        return self._random.choices(self._suitable[kind.name], cum_weights=self._weights[kind.name])[0][1]


def _suitable(kind: Kind) -> list[tuple[int, Place]]:
    """With how wanted each is: by the kind's own list, else on its continent."""
    by_code = {place.code: place for place in places()}
    if kind.places:
        return list(enumerate(by_code[code] for code in kind.places.split()))
    return [(place.rank, place) for place in places()]


def _row(random: Random, number: int, kind: Kind, place: Place) -> Row:
    days = random.randint(*kind.days)
    price = Decimal(random.randint(*kind.per_day) * days // 10 * 10)
    if number % 9 == 0:
        price -= Decimal("0.05")
    supplement = (price * random.randint(12, 28) / 100).quantize(Decimal("0.01"))
    return {
        "id": number,
        "image_url": f"https://images.example.com/{place.code.lower()}/{number}.jpg" if number % 4 else None,
        "base_price": price.quantize(Decimal("0.01")),
        "single_supplement_price": supplement if number % 5 else None,
        "typical_duration_days": days,
        "default_max_capacity": random.choice((12, 16, 18, 20, 24, 30)),
        "difficulty_level": random.randint(*kind.levels),
        "company_id": random.randint(1, len(COMPANIES)),
        "is_active": number % 24 != 0,
        "properties": {"meals": random.choice(("breakfast", "half board"))} if number % 6 == 0 else None,
    }


def _texts(random: Random, kind: Kind, place: Place, tags: list[str], row: Row) -> Row:
    days, pace = row["typical_duration_days"], PACES[row["difficulty_level"]]
    english = {"name": place.name, "place": place.in_text, "days": days}
    hebrew = {"place": place.name_he, "days": days}
    title, title_he = random.choice(list(zip(kind.titles, kind.titles_he, strict=True)))
    said = [THEMES[tag] for tag in tags[:2]]
    short = random.random() < 0.6
    return {
        "title": _capital(title.format_map(english)),
        "title_he": title_he.format_map(hebrew),
        "description": " ".join([kind.said.format_map(english), *(theme.said for theme in said), pace[0]]),
        "description_he": " ".join([kind.said_he.format_map(hebrew), *(theme.said_he for theme in said), pace[1]]),
        "short_description": f"{days} days in {place.in_text}. {pace[0]}" if short else None,
        "short_description_he": f"{days} ימים, {place.name_he}. {pace[1]}" if short else None,
    }


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _tags(random: Random, kind: Kind) -> list[str]:
    likely = random.sample(kind.themes.split(), random.randint(0, 3))
    return list(dict.fromkeys([*likely, random.choice(list(THEMES))])) if random.random() < 0.3 else likely


def _tag_row(row: Row, tag: str) -> Row:
    return {"trip_template_id": row["id"], "tag_id": TAG_IDS[tag], "created_at": row["created_at"]}


def _visits(random: Random, chooser: PlaceChooser, row: Row, kind: Kind, first: Place) -> list[Row]:
    """The country itself, and on longer trips sometimes one or two more."""
    visited = [first]
    if row["typical_duration_days"] >= 9 and random.random() < 0.3:
        visited += [chooser.choose(kind) for _ in range(random.randint(1, 2))]
    return [
        {
            "trip_template_id": row["id"],
            "country_id": place.id,
            "visit_order": order,
            "days_in_country": row["typical_duration_days"] // len(visited) if len(visited) > 1 else None,
            "created_at": row["created_at"],
        }
        for order, place in enumerate(dict.fromkeys(visited), 1)
    ]
