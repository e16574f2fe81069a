"""Rows of the catalogue's tables, determined by seed and day."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any

from scripts.sample_data.countries import all_countries
from scripts.sample_data.people import COMPANIES, FIRST_NAMES, LAST_NAMES
from scripts.sample_data.trip_types import TAG_IDS, THEMES, TRIP_TYPES, TYPE_IDS

Row = dict[str, Any]


def stamps(random: Random, today: date) -> Row:
    """Draw a creation time in the last two years and a later change."""
    created = datetime.combine(today, time(6)) - timedelta(minutes=random.randrange(60, 2 * 365 * 24 * 60))
    changed = created + (datetime.combine(today, time(6)) - created) * random.random()
    return {"created_at": created, "updated_at": changed}


def countries(random: Random, today: date) -> Iterator[Row]:
    for country in all_countries():
        yield {
            "id": country.id,
            "name": country.name,
            "name_he": country.name_he,
            "continent": country.continent.name,
            **stamps(random, today),
        }


def trip_types(random: Random, today: date) -> Iterator[Row]:
    for trip_type in TRIP_TYPES:
        yield {
            "id": TYPE_IDS[trip_type.name],
            "name": trip_type.name,
            "name_he": trip_type.name_he,
            "description": trip_type.description,
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
        has_contact = random.random() < 0.8
        yield {
            "id": number,
            "name": f"{first} {last}",
            "name_he": f"{first_he} {last_he}" if number % 7 else "",
            "email": f"{first}.{last}@example.com".lower(),
            "phone": f"+972-50-555{number:04}" if has_contact else None,
            "gender": gender.name,
            "age": 24 + years if has_contact else None,
            "bio": f"Has been leading groups for {years} years." if has_contact else None,
            "bio_he": f"{years} שנות ניסיון בהדרכת קבוצות." if has_contact else None,
            "image_url": f"https://images.example.com/guides/{number}.jpg" if number % 3 else None,
            "is_active": number % 16 != 0,
            **stamps(random, today),
        }
