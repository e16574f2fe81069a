"""Trip templates in two languages: a trip type in a country, with suitable themes."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from itertools import accumulate
from random import Random
from typing import NamedTuple

from scripts.sample_data.countries import Country, all_countries
from scripts.sample_data.people import COMPANIES
from scripts.sample_data.rows import Row, stamps
from scripts.sample_data.trip_types import PACES, TAG_IDS, THEMES, TRIP_TYPES, TYPE_IDS, TripType


class Template(NamedTuple):
    row: Row
    tags: list[Row]
    countries: list[Row]


def templates(random: Random, count: int, today: date) -> Iterator[Template]:
    chooser = CountryChooser(random)
    for number in range(1, count + 1):
        trip_type = TRIP_TYPES[number % len(TRIP_TYPES)]
        country = chooser.choose(trip_type)
        row = _row(random, number, trip_type, country)
        tags = _tags(random, trip_type)
        row |= _texts(random, trip_type, country, tags, row) | stamps(random, today)
        # Some trips have no type, some no country.
        row["trip_type_id"] = None if number % 41 == 0 else TYPE_IDS[trip_type.name]
        row["primary_country_id"] = None if number % 53 == 0 else country.id
        yield Template(row, [_tag_row(row, tag) for tag in tags], _visits(random, chooser, row, trip_type, country))


class CountryChooser:
    """Draws countries that suit a trip type, popular ones more often."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._suitable = {trip_type.name: _suitable(trip_type) for trip_type in TRIP_TYPES}
        self._weights = {
            name: list(accumulate(1 / (3 + rank) for rank, _ in ranked)) for name, ranked in self._suitable.items()
        }

    def choose(self, trip_type: TripType) -> Country:
        return self._random.choices(self._suitable[trip_type.name], cum_weights=self._weights[trip_type.name])[0][1]


def _suitable(trip_type: TripType) -> list[tuple[int, Country]]:
    """Return rank and country: ranked by the trip type's own list, otherwise by popularity on the continent."""
    by_code = {country.code: country for country in all_countries()}
    if trip_type.places:
        return list(enumerate(by_code[code] for code in trip_type.places.split()))
    return [(country.rank, country) for country in all_countries()]


def _row(random: Random, number: int, trip_type: TripType, country: Country) -> Row:
    days = random.randint(*trip_type.days)
    price = Decimal(random.randint(*trip_type.per_day) * days // 10 * 10)
    if number % 9 == 0:
        price -= Decimal("0.05")
    supplement = (price * random.randint(12, 28) / 100).quantize(Decimal("0.01"))
    return {
        "id": number,
        "image_url": f"https://images.example.com/{country.code.lower()}/{number}.jpg" if number % 4 else None,
        "base_price": price.quantize(Decimal("0.01")),
        "single_supplement_price": supplement if number % 5 else None,
        "typical_duration_days": days,
        "default_max_capacity": random.choice((12, 16, 18, 20, 24, 30)),
        "difficulty_level": random.randint(*trip_type.levels),
        "company_id": random.randint(1, len(COMPANIES)),
        "is_active": number % 24 != 0,
        "properties": {"meals": random.choice(("breakfast", "half board"))} if number % 6 == 0 else None,
    }


def _texts(random: Random, trip_type: TripType, country: Country, tags: list[str], row: Row) -> Row:
    days, pace = row["typical_duration_days"], PACES[row["difficulty_level"]]
    english = {"name": country.name, "place": country.in_text, "days": days}
    hebrew = {"place": country.name_he, "days": days}
    title, title_he = random.choice(list(zip(trip_type.titles, trip_type.titles_he, strict=True)))
    themes = [THEMES[tag] for tag in tags[:2]]
    short = random.random() < 0.6
    return {
        "title": _capital(title.format_map(english)),
        "title_he": title_he.format_map(hebrew),
        "description": " ".join(
            [trip_type.sentence.format_map(english), *(theme.sentence for theme in themes), pace[0]]
        ),
        "description_he": " ".join(
            [trip_type.sentence_he.format_map(hebrew), *(theme.sentence_he for theme in themes), pace[1]]
        ),
        "short_description": f"{days} days in {country.in_text}. {pace[0]}" if short else None,
        "short_description_he": f"{days} ימים, {country.name_he}. {pace[1]}" if short else None,
    }


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _tags(random: Random, trip_type: TripType) -> list[str]:
    likely = random.sample(trip_type.themes.split(), random.randint(0, 3))
    return list(dict.fromkeys([*likely, random.choice(list(THEMES))])) if random.random() < 0.3 else likely


def _tag_row(row: Row, tag: str) -> Row:
    return {"trip_template_id": row["id"], "tag_id": TAG_IDS[tag], "created_at": row["created_at"]}


def _visits(random: Random, chooser: CountryChooser, row: Row, trip_type: TripType, first: Country) -> list[Row]:
    """Return the visited countries: the primary one, and on longer trips sometimes one or two more."""
    visited = [first]
    if row["typical_duration_days"] >= 9 and random.random() < 0.3:
        visited += [chooser.choose(trip_type) for _ in range(random.randint(1, 2))]
    return [
        {
            "trip_template_id": row["id"],
            "country_id": country.id,
            "visit_order": order,
            "days_in_country": row["typical_duration_days"] // len(visited) if len(visited) > 1 else None,
            "created_at": row["created_at"],
        }
        for order, country in enumerate(dict.fromkeys(visited), 1)
    ]
