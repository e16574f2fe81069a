"""Departures of the templates: past and future, open and full, at the template's price and at other prices."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from schemas.enums import PRIVATE_GROUPS, Status
from scripts.sample_data.people import FIRST_NAMES, LAST_NAMES
from scripts.sample_data.rows import Row, stamps
from scripts.sample_data.trip_types import TYPE_IDS

GUIDES = len(FIRST_NAMES) * len(LAST_NAMES)
CENT = Decimal("0.01")
DATE_TO_BE_AGREED = date(2099, 12, 31)
"""Start and end that the platform stores for the departures of private groups."""


def departures(random: Random, count: int, templates: Sequence[Row], today: date) -> Iterator[Row]:
    """Yield departures from half a year ago to almost two years ahead, most of them soon."""
    for number in range(1, count + 1):
        template = templates[(number - 1) % len(templates)]
        start = today + timedelta(days=int(random.triangular(-180, 700, 60)))
        days = template["typical_duration_days"] + random.choice((0, 0, 0, 0, 1, -1, 3))
        departure = {
            "id": number,
            "trip_template_id": template["id"],
            "guide_id": None if random.random() < 0.1 else random.randint(1, GUIDES),
            "start_date": start,
            "end_date": start + timedelta(days=max(days, 1) - 1),
            **_availability(random, template["default_max_capacity"]),
            **({"status": Status.CANCELLED} if _is_free(number) else {}),
            **_overrides(random, number, template),
            **_notes(number),
            **stamps(random, today),
        }
        yield departure | (_private(departure) if template["trip_type_id"] == TYPE_IDS[PRIVATE_GROUPS] else {})


def _is_free(number: int) -> bool:
    """Return whether the price is overridden by 0: on cancelled departures only, as nobody would believe the others."""
    return number % 97 == 0


def _private(departure: Row) -> Row:
    """Return what is different for a private group: its date is agreed later, and it takes no single bookings."""
    status = Status.CANCELLED if departure["status"] == Status.CANCELLED else Status.OPEN
    return {"start_date": DATE_TO_BE_AGREED, "end_date": DATE_TO_BE_AGREED, "spots_left": 0, "status": status}


def _availability(random: Random, capacity: int) -> Row:
    """Draw status and spots; sometimes they contradict each other, as in real data."""
    drawn = random.random()
    if drawn < 0.05:
        return {"status": Status.CANCELLED, "spots_left": random.randint(0, capacity)}
    if drawn < 0.13:
        return {"status": Status.FULL, "spots_left": 0 if random.random() < 0.9 else 1}
    if drawn < 0.32:
        return {"status": Status.LAST_PLACES, "spots_left": random.randint(1, 4)}
    sold_out = random.random() < 0.02
    status = Status.GUARANTEED if random.random() < 0.35 else Status.OPEN
    return {"status": status, "spots_left": 0 if sold_out else random.randint(3, capacity)}


def _overrides(random: Random, number: int, template: Row) -> Row:
    price = None
    if _is_free(number):
        price = Decimal("0.00")
    elif random.random() < 0.2:
        price = (template["base_price"] * random.randint(80, 118) / 100).quantize(CENT)
    return {
        "price_override": price,
        "single_supplement_override": Decimal("250.00") if number % 31 == 0 else None,
        "max_capacity_override": template["default_max_capacity"] - 4 if number % 11 == 0 else None,
        "image_url_override": f"https://images.example.com/departures/{number}.jpg" if number % 13 == 0 else None,
    }


def _notes(number: int) -> Row:
    has_notes = number % 17 == 0
    return {
        "notes": "Flights are not included." if has_notes else None,
        "notes_he": "הטיסות אינן כלולות." if has_notes else None,
        "properties": {"cabin": number % 700} if number % 29 == 0 else None,
    }
