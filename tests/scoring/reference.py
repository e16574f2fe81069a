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
class ReferencePoints:
    """The platform's own points."""

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


OWN = ReferencePoints()


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


def answer(wants: ReferencePreferences, world: World, gives: ReferencePoints = OWN) -> tuple[list[Shown], int]:
    """What is shown, best first, and the number of primary candidates."""
    candidates = [trip for trip in world.documents if is_primary(trip, wants, world)]
    primary = best(candidates, wants, world, gives, relaxed=False)[:30]
    if len(primary) > 5:
        return primary, len(candidates)
    listed = {shown.id for shown in primary}
    others = [trip for trip in world.documents if trip.id not in listed and is_relaxed(trip, wants, world)]
    return primary + best(others, wants, world, gives, relaxed=True)[: 30 - len(primary)], len(candidates)


def best(
    trips: Iterable[TripDocument], wants: ReferencePreferences, world: World, gives: ReferencePoints, *, relaxed: bool
) -> list[Shown]:
    ranked = []
    for trip in trips:
        points = points_of(trip, wants, world, gives, relaxed=relaxed)
        if points is None:
            continue
        score = gives.base + (gives.expanded if relaxed else 0) + sum(number for number, _ in points)
        score = 0 if score < 0 else 100 if score > 100 else score
        given = [(gives.expanded, "Expanded Result")] * relaxed + points
        labels = [f"{text} [{'+' if number >= 0 else ''}{number}]" for number, text in given]
        if score >= 30:
            ranked.append((-score, trip.start, trip.id, Shown(trip.id, score, relaxed, tuple(labels))))
    return [shown for *_, shown in sorted(ranked, key=lambda entry: entry[:3])]


def is_primary(trip: TripDocument, wants: ReferencePreferences, world: World) -> bool:
    if not trip.active or trip.status in ("Cancelled", "Full"):
        return False
    if (wants.countries or wants.continents) and not (in_countries(trip, wants) or trip.continent in wants.continents):
        return False
    if wants.type_id is not None and trip.type != str(wants.type_id):
        return False
    if wants.difficulty is not None and abs(trip.level - wants.difficulty) > 1:
        return False
    if wants.budget is not None and share(trip, wants.budget) > Fraction(130, 100):
        return False
    return wants.type_id == world.private_type or (is_bookable(trip, world) and is_dated(trip, wants, world))


def is_relaxed(trip: TripDocument, wants: ReferencePreferences, world: World) -> bool:
    if not trip.active or trip.status in ("Cancelled", "Full"):
        return False
    if wants.countries or wants.continents:
        reached = set(wants.continents)
        for country in wants.countries:
            if country in world.continents:
                reached.add(world.continents[country])
        if not (in_countries(trip, wants) or trip.continent in reached):
            return False
    if wants.difficulty is not None and abs(trip.level - wants.difficulty) > 2:
        return False
    if wants.budget is not None and share(trip, wants.budget) > Fraction(150, 100):
        return False
    if wants.type_id == world.private_type:
        return trip.type == str(world.private_type) or is_bookable(trip, world)
    return is_bookable(trip, world) and is_nearly_dated(trip, wants)


def in_countries(trip: TripDocument, wants: ReferencePreferences) -> bool:
    return trip.country is not None and int(trip.country) in wants.countries


def share(trip: TripDocument, budget: Decimal) -> Fraction:
    """The price as a part of the budget."""
    return Fraction(trip.price, 100) / Fraction(budget)


def is_bookable(trip: TripDocument, world: World) -> bool:
    start = date.fromisoformat(trip.start)
    return trip.spots > 0 and start >= world.today and start.year <= world.today.year + 1


def is_dated(trip: TripDocument, wants: ReferencePreferences, world: World) -> bool:
    start = date.fromisoformat(trip.start)
    if wants.year is not None and start.year != wants.year:
        return False
    if wants.month is not None and start.month != wants.month:
        return False
    legacy = wants.start_date is not None and wants.year is None and wants.start_date > world.today
    return not legacy or (wants.start_date is not None and start >= wants.start_date)


def is_nearly_dated(trip: TripDocument, wants: ReferencePreferences) -> bool:
    start = date.fromisoformat(trip.start)
    if wants.year is not None and wants.month is not None:
        return abs((start.year * 12 + start.month) - (wants.year * 12 + wants.month)) <= 2
    if wants.year is not None:
        return (wants.year - 1, 11) <= (start.year, start.month) <= (wants.year + 1, 2)
    if wants.month is not None:
        return min((start.month - wants.month) % 12, (wants.month - start.month) % 12) <= 2
    return True


def points_of(
    trip: TripDocument, wants: ReferencePreferences, world: World, gives: ReferencePoints, *, relaxed: bool
) -> list[tuple[int, str]] | None:
    """None for a departure that is dropped."""
    points: list[tuple[int, str]] = []
    if wants.themes:
        hits = len([theme for theme in wants.themes if str(theme) in trip.themes])
        if hits >= 2:
            points.append((gives.excellent_themes, "Excellent Theme Match"))
        elif hits == 1:
            points.append((gives.good_themes, "Good Theme Match"))
        else:
            points.append((gives.no_themes, "No Theme Match"))
    if relaxed and wants.type_id is not None and trip.type != str(wants.type_id):
        points.append((gives.different_type, "Different Type"))
    if wants.difficulty is not None and trip.level == wants.difficulty:
        points.append((gives.perfect_difficulty, "Perfect Difficulty"))
    stays = duration_points(trip, wants, world, gives, relaxed=relaxed)
    if stays is None:
        return None
    others = money_points(trip, wants, gives) + urgency_points(trip, world, gives) + place_points(trip, wants, gives)
    return points + stays + others


def duration_points(
    trip: TripDocument, wants: ReferencePreferences, world: World, gives: ReferencePoints, *, relaxed: bool
) -> list[tuple[int, str]] | None:
    days = trip.days
    if trip.type == str(world.private_type):
        return [(gives.ideal_duration, "Flexible Duration")]
    if wants.shortest <= days <= wants.longest:
        return [(gives.ideal_duration, f"Ideal Duration ({days}d)")]
    nearest = min(abs(days - wants.shortest), abs(days - wants.longest))
    if nearest <= (10 if relaxed else 4):
        return [(gives.good_duration, f"Good Duration ({days}d)")]
    return None if nearest > 7 and not relaxed else []


def money_points(trip: TripDocument, wants: ReferencePreferences, gives: ReferencePoints) -> list[tuple[int, str]]:
    if wants.budget is None:
        return []
    if share(trip, wants.budget) <= 1:
        return [(gives.within_budget, "Within Budget")]
    if share(trip, wants.budget) <= Fraction(110, 100):
        return [(gives.slightly_over_budget, "Slightly Over (+10%)")]
    if share(trip, wants.budget) <= Fraction(120, 100):
        return [(gives.over_budget, "Over Budget (+20%)")]
    return []


def urgency_points(trip: TripDocument, world: World, gives: ReferencePoints) -> list[tuple[int, str]]:
    points = []
    if trip.status == "Guaranteed":
        points.append((gives.guaranteed, "Guaranteed"))
    if trip.status == "Last Places":
        points.append((gives.last_places, "Last Places"))
    wait = date.fromisoformat(trip.start) - world.today
    if trip.type != str(world.private_type) and wait <= timedelta(days=30):
        points.append((gives.soon, f"Soon ({wait.days}d)"))
    return points


def place_points(trip: TripDocument, wants: ReferencePreferences, gives: ReferencePoints) -> list[tuple[int, str]]:
    if in_countries(trip, wants) or ("Antarctica" in wants.continents and trip.antarctica):
        return [(gives.country, "Country Match")]
    if trip.continent in wants.continents:
        return [(gives.continent, "Continent Match")]
    return []
