"""Definitions of "active", "on sale", "on offer", "upcoming" and "bookable", for searches and SQL alike."""

from datetime import date

from schemas.enums import NOT_ON_SALE, Status
from scoring.predicates import And, Condition, Equals, In, Not, Range

ACTIVE = Equals("active", True)
"""The departure's template is active."""
NOT_CANCELLED = Not(Equals("status", Status.CANCELLED.value))
ON_SALE = Not(In("status", tuple(status.value for status in NOT_ON_SALE)))
"""Neither cancelled nor full."""
HAS_SPOTS = Range("spots", 1, None)
ON_OFFER = And((ACTIVE, ON_SALE, HAS_SPOTS))
"""What a departure needs whatever the day (see scoring/offered_start.py)."""


def upcoming(today: date) -> Condition:
    """Match departures that start today or later."""
    return Range("start", today.isoformat(), None)


def bookable(today: date) -> Condition:
    """Match departures that a traveller can book."""
    return And((*ON_OFFER.conditions, upcoming(today)))
