"""The rules once more, as plain as they can be written: a full sort, no rule table, no query, no shared code."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from schemas.index_document import TripDocument


@dataclass(frozen=True)
class ReferencePreferences:
    countries: frozenset[int] = frozenset()
    continents: frozenset[str] = frozenset()
    type_id: int | None = None
    themes: frozenset[int] = frozenset()
    shortest: int = 1
    longest: int = 365
    budget: Decimal | None = None
    difficulty: int | None = None
    year: int | None = None
    month: int | None = None
    start_date: date | None = None


@dataclass(frozen=True)
class ReferenceWeights:
    """The platform's own weights."""

    base: int = 30
    excellent_themes: int = 25
    good_themes: int = 12
    no_themes: int = -15
    perfect_difficulty: int = 15
    ideal_duration: int = 12
    good_duration: int = 8
    within_budget: int = 12
    slightly_over_budget: int = 8
    over_budget: int = 5
    guaranteed: int = 7
    last_places: int = 15
    soon: int = 7
    country: int = 15
    continent: int = 5
    expanded: int = -15
    different_type: int = -10


OWN = ReferenceWeights()


class World:
    """A catalogue and the day on which it is searched; no dataclass, since a failing case would print every trip."""

    def __init__(
        self, name: str, today: date, private_type: int, continents: dict[int, str], documents: list[TripDocument]
    ) -> None:
        self.name = name
        self.today = today
        self.private_type = private_type
        self.continents = continents
        self.documents = documents

    def __repr__(self) -> str:
        return f"<{self.name}, {self.today}>"


@dataclass(frozen=True)
class Shown:
    id: int
    score: int
    is_relaxed: bool
    labels: tuple[str, ...]


def recommend(
    preferences: ReferencePreferences, world: World, weights: ReferenceWeights = OWN
) -> tuple[list[Shown], int]:
    """Return what is shown, best first, and the number of primary candidates."""
    candidates = [trip for trip in world.documents if is_primary(trip, preferences, world)]
    primary = best(candidates, preferences, world, weights, relaxed=False)[:30]
    if len(primary) > 5:
        return primary, len(candidates)
    listed = {shown.id for shown in primary}
    others = [trip for trip in world.documents if trip.id not in listed and is_relaxed(trip, preferences, world)]
    return primary + best(others, preferences, world, weights, relaxed=True)[: 30 - len(primary)], len(candidates)


def best(
    trips: Iterable[TripDocument],
    preferences: ReferencePreferences,
    world: World,
    weights: ReferenceWeights,
    *,
    relaxed: bool,
) -> list[Shown]:
    ranked = []
    for trip in trips:
        points = points_of(trip, preferences, world, weights, relaxed=relaxed)
        if points is None:
            continue
        score = weights.base + (weights.expanded if relaxed else 0) + sum(number for number, _ in points)
        score = 0 if score < 0 else 100 if score > 100 else score
        given = [(weights.expanded, "Expanded Result")] * relaxed + points
        labels = [f"{text} [{'+' if number >= 0 else ''}{number}]" for number, text in given]
        if score >= 30:
            ranked.append((-score, trip.start, trip.id, Shown(trip.id, score, relaxed, tuple(labels))))
    return [shown for *_, shown in sorted(ranked, key=lambda entry: entry[:3])]


def is_primary(trip: TripDocument, preferences: ReferencePreferences, world: World) -> bool:
    if not trip.active or trip.status in ("Cancelled", "Full"):
        return False
    if (preferences.countries or preferences.continents) and not (
        in_countries(trip, preferences) or trip.continent in preferences.continents
    ):
        return False
    if preferences.type_id is not None and trip.type != str(preferences.type_id):
        return False
    if preferences.difficulty is not None and abs(trip.level - preferences.difficulty) > 1:
        return False
    if preferences.budget is not None and share(trip, preferences.budget) > Fraction(130, 100):
        return False
    return preferences.type_id == world.private_type or (
        is_bookable(trip, world) and is_dated(trip, preferences, world)
    )


def is_relaxed(trip: TripDocument, preferences: ReferencePreferences, world: World) -> bool:
    if not trip.active or trip.status in ("Cancelled", "Full"):
        return False
    if preferences.countries or preferences.continents:
        reached = set(preferences.continents)
        for country in preferences.countries:
            if country in world.continents:
                reached.add(world.continents[country])
        if not (in_countries(trip, preferences) or trip.continent in reached):
            return False
    if preferences.difficulty is not None and abs(trip.level - preferences.difficulty) > 2:
        return False
    if preferences.budget is not None and share(trip, preferences.budget) > Fraction(150, 100):
        return False
    if preferences.type_id == world.private_type:
        return trip.type == str(world.private_type) or is_bookable(trip, world)
    return is_bookable(trip, world) and is_nearly_dated(trip, preferences)


def in_countries(trip: TripDocument, preferences: ReferencePreferences) -> bool:
    return trip.country is not None and int(trip.country) in preferences.countries


def share(trip: TripDocument, budget: Decimal) -> Fraction:
    """Return the price as a part of the budget."""
    return Fraction(trip.price, 100) / Fraction(budget)


def offered_start(start: str, *, active: bool, spots: int, status: str) -> str:
    return start if active and spots > 0 and status not in ("Cancelled", "Full") else "0001-01-01"


def is_bookable(trip: TripDocument, world: World) -> bool:
    start = date.fromisoformat(trip.start)
    return trip.spots > 0 and start >= world.today and start.year <= world.today.year + 1


def is_dated(trip: TripDocument, preferences: ReferencePreferences, world: World) -> bool:
    start = date.fromisoformat(trip.start)
    if preferences.year is not None and start.year != preferences.year:
        return False
    if preferences.month is not None and start.month != preferences.month:
        return False
    legacy = preferences.start_date is not None and preferences.year is None and preferences.start_date > world.today
    return not legacy or (preferences.start_date is not None and start >= preferences.start_date)


def is_nearly_dated(trip: TripDocument, preferences: ReferencePreferences) -> bool:
    start = date.fromisoformat(trip.start)
    if preferences.year is not None and preferences.month is not None:
        return abs((start.year * 12 + start.month) - (preferences.year * 12 + preferences.month)) <= 2
    if preferences.year is not None:
        return (preferences.year - 1, 11) <= (start.year, start.month) <= (preferences.year + 1, 2)
    if preferences.month is not None:
        return min((start.month - preferences.month) % 12, (preferences.month - start.month) % 12) <= 2
    return True


def points_of(
    trip: TripDocument, preferences: ReferencePreferences, world: World, weights: ReferenceWeights, *, relaxed: bool
) -> list[tuple[int, str]] | None:
    """Return points with their texts, or None for a departure that is dropped."""
    points: list[tuple[int, str]] = []
    if preferences.themes:
        hits = len([theme for theme in preferences.themes if str(theme) in trip.themes])
        if hits >= 2:
            points.append((weights.excellent_themes, "Excellent Theme Match"))
        elif hits == 1:
            points.append((weights.good_themes, "Good Theme Match"))
        else:
            points.append((weights.no_themes, "No Theme Match"))
    if relaxed and preferences.type_id is not None and trip.type != str(preferences.type_id):
        points.append((weights.different_type, "Different Type"))
    if preferences.difficulty is not None and trip.level == preferences.difficulty:
        points.append((weights.perfect_difficulty, "Perfect Difficulty"))
    stays = duration_points(trip, preferences, world, weights, relaxed=relaxed)
    if stays is None:
        return None
    others = (
        money_points(trip, preferences, weights)
        + urgency_points(trip, world, weights)
        + place_points(trip, preferences, weights)
    )
    return points + stays + others


def duration_points(
    trip: TripDocument, preferences: ReferencePreferences, world: World, weights: ReferenceWeights, *, relaxed: bool
) -> list[tuple[int, str]] | None:
    days = trip.days
    if trip.type == str(world.private_type):
        return [(weights.ideal_duration, "Flexible Duration")]
    if preferences.shortest <= days <= preferences.longest:
        return [(weights.ideal_duration, f"Ideal Duration ({days}d)")]
    nearest = min(abs(days - preferences.shortest), abs(days - preferences.longest))
    if nearest <= (10 if relaxed else 4):
        return [(weights.good_duration, f"Good Duration ({days}d)")]
    return None if nearest > 7 and not relaxed else []


def money_points(
    trip: TripDocument, preferences: ReferencePreferences, weights: ReferenceWeights
) -> list[tuple[int, str]]:
    if preferences.budget is None:
        return []
    if share(trip, preferences.budget) <= 1:
        return [(weights.within_budget, "Within Budget")]
    if share(trip, preferences.budget) <= Fraction(110, 100):
        return [(weights.slightly_over_budget, "Slightly Over (+10%)")]
    if share(trip, preferences.budget) <= Fraction(120, 100):
        return [(weights.over_budget, "Over Budget (+20%)")]
    return []


def urgency_points(trip: TripDocument, world: World, weights: ReferenceWeights) -> list[tuple[int, str]]:
    points = []
    if trip.status == "Guaranteed":
        points.append((weights.guaranteed, "Guaranteed"))
    if trip.status == "Last Places":
        points.append((weights.last_places, "Last Places"))
    wait = date.fromisoformat(trip.start) - world.today
    if trip.type != str(world.private_type) and wait <= timedelta(days=30):
        points.append((weights.soon, f"Soon ({wait.days}d)"))
    return points


def place_points(
    trip: TripDocument, preferences: ReferencePreferences, weights: ReferenceWeights
) -> list[tuple[int, str]]:
    if in_countries(trip, preferences) or ("Antarctica" in preferences.continents and trip.antarctica):
        return [(weights.country, "Country Match")]
    if trip.continent in preferences.continents:
        return [(weights.continent, "Continent Match")]
    return []
