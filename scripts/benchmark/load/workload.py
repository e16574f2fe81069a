"""Random searches like those of the web client, reproducible from a seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from schemas.enums import Continent


@dataclass(frozen=True)
class Ids:
    """Ids of the reference data that searches choose from."""

    countries: Sequence[int]
    types: Sequence[int]
    themes: Sequence[int]
    year: int


def searches(ids: Ids, count: int, seed: int) -> list[dict[str, Any]]:
    """Return bodies of POST /api/v2/recommendations."""
    rng = random.Random(seed)
    return [_search(rng, ids) for _ in range(count)]


def cumulative_popularity(count: int) -> list[float]:
    """Return the cumulative weights of so many searches, of which the nth is made in proportion to 1/n (Zipf)."""
    return list(accumulate(1 / number for number in range(1, count + 1)))


def _search(rng: random.Random, ids: Ids) -> dict[str, Any]:
    """Return a search: the fields that the web client always sends, and up to three choices of the traveller."""
    shortest = rng.randint(3, 10)
    search: dict[str, Any] = {
        "selected_countries": [],
        "selected_continents": [],
        "preferred_theme_ids": [],
        "min_duration": shortest,
        "max_duration": shortest + rng.randint(5, 25),
        "budget": rng.randrange(3000, 20_000, 50),
        "difficulty": rng.choice([1, 2, 2, 2, 3]),
        "year": rng.choice(["all", "all", str(ids.year), str(ids.year + 1)]),
        "month": "all",
    }
    for choice in rng.sample(CHOICES, k=rng.choice([0, 1, 1, 2, 2, 3])):
        choice(rng, ids, search)
    return search


def _countries(rng: random.Random, ids: Ids, search: dict[str, Any]) -> None:
    search["selected_countries"] = rng.sample(ids.countries, k=rng.randint(1, 3))


def _continents(rng: random.Random, _ids: Ids, search: dict[str, Any]) -> None:
    search["selected_continents"] = rng.sample([str(name) for name in Continent], k=rng.randint(1, 2))


def _type(rng: random.Random, ids: Ids, search: dict[str, Any]) -> None:
    search["preferred_type_id"] = rng.choice(ids.types)


def _themes(rng: random.Random, ids: Ids, search: dict[str, Any]) -> None:
    search["preferred_theme_ids"] = rng.sample(ids.themes, k=rng.randint(1, 3))


def _month(rng: random.Random, _ids: Ids, search: dict[str, Any]) -> None:
    search["month"] = str(rng.randint(1, 12))


CHOICES = [_countries, _continents, _type, _themes, _month]
