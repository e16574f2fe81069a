"""Rows of the catalogue's tables, the same ones for the same seed and day."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any

from scripts.sample_data.countries import places
from scripts.sample_data.people import COMPANIES, FIRST_NAMES, LAST_NAMES
from scripts.sample_data.trip_types import KINDS, TAG_IDS, THEMES, TYPE_IDS

Row = dict[str, Any]


def stamps(random: Random, today: date) -> Row:
    """Written in the last two years, changed some time after."""
    created = datetime.combine(today, time(6)) - timedelta(minutes=random.randrange(60, 2 * 365 * 24 * 60))
    changed = created + (datetime.combine(today, time(6)) - created) * random.random()
    return {"created_at": created, "updated_at": changed}


def countries(random: Random, today: date) -> Iterator[Row]:
    for place in places():
        yield {
            "id": place.id,
            "name": place.name,
            "name_he": place.name_he,
            "continent": place.continent.name,
            **stamps(random, today),
        }


def trip_types(random: Random, today: date) -> Iterator[Row]:
    for kind in KINDS:
        yield {
            "id": TYPE_IDS[kind.name],
            "name": kind.name,
            "name_he": kind.name_he,
            "description": kind.description,
            **stamps(random, today),
        }


def tags(random: Random, today: date) -> Iterator[Row]:
    for key, theme in THEMES.items():
        yield {
            "id": TAG_IDS[key],
            "name": theme.name,
            "name_he": theme.name_he,
            "description": theme.description,
            **stamps(random, today),
        }


def companies(random: Random, today: date) -> Iterator[Row]:
    for number, (name, name_he, description) in enumerate(COMPANIES, 1):
        site = f"{name.lower().replace(' & ', '-').replace(' ', '-')}.example.com"
        yield {
            "id": number,
            "name": name,
            "name_he": name_he,
            "description": description,
            "logo_url": f"https://{site}/logo.svg" if number % 3 else None,
            "website_url": f"https://{site}",
            "email": f"hello@{site}",
            "phone": f"+972-3-555{number:04}" if number % 4 else None,
            "is_active": number != len(COMPANIES) - 2,
            **stamps(random, today),
        }


def guides(random: Random, today: date) -> Iterator[Row]:
    named = [(first, last) for last in LAST_NAMES for first in FIRST_NAMES]
    for number, ((first, first_he, gender), (last, last_he)) in enumerate(named, 1):
        years = random.randint(3, 30)
        known = random.random() < 0.8
        yield {
            "id": number,
            "name": f"{first} {last}",
            "name_he": f"{first_he} {last_he}" if number % 7 else "",
            "email": f"{first}.{last}@example.com".lower(),
            "phone": f"+972-50-555{number:04}" if known else None,
            "gender": gender.name,
            "age": 24 + years if known else None,
            "bio": f"Has been leading groups for {years} years." if known else None,
            "bio_he": f"{years} שנות ניסיון בהדרכת קבוצות." if known else None,
            "image_url": f"https://images.example.com/guides/{number}.jpg" if number % 3 else None,
            "is_active": number % 16 != 0,
            **stamps(random, today),
        }
