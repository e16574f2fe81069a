"""Parse rate limits such as `200/hour; 50 per minute; 10/5 minutes`."""

import re
from typing import NamedTuple

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
RATE = re.compile(r"(\d{1,9})\s*(?:/|per)\s*(\d{1,6})?\s*(second|minute|hour|day)s?", re.IGNORECASE)


class Rate(NamedTuple):
    """At most `amount` requests in a window of `seconds`; 0 allows none."""

    seconds: int
    amount: int


def parse_rates(text: str) -> list[Rate]:
    """Return the rates of a list separated by `;`, `,` or `|`, the shortest window first. Raises ValueError."""
    return sorted(_parse_rate(part.strip()) for part in re.split(r"[;,|]", text))


def _parse_rate(text: str) -> Rate:
    match = RATE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} should be a rate such as 200/hour")
    amount, count, unit = match.groups()
    rate = Rate(int(count or 1) * SECONDS[unit.lower()], int(amount))
    if not rate.seconds:
        raise ValueError(f"{text!r} should be a rate with a window of at least one unit")
    return rate
