"""Three searches and their results, as tables."""

from datetime import date
from itertools import pairwise
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from schemas.enums import PRIVATE_GROUPS, Continent
from scoring.weights import HIGHEST
from scripts.sample_data.departures import DATE_TO_BE_AGREED
from scripts.walkthrough.client import Client, Response

MAX_ROWS = 5


class Search(NamedTuple):
    title: str
    preferences: dict[str, Any]


def searches(client: Client) -> list[Search]:
    themes, types, countries = client.ids("/api/tags"), client.ids("/api/trip-types"), client.ids("/api/countries")
    return [
        Search(
            "Culture and food in Asia, for one to two weeks",
            {
                "selected_continents": [Continent.ASIA],
                "preferred_theme_ids": [themes["Cultural & Historical"], themes["Food & Wine"]],
                "min_duration": 7,
                "max_duration": 14,
            },
        ),
        Search(
            "A trip for a group of our own in Europe, on days that suit us: culture and food, not too hard, for 4,000",
            {
                "preferred_type_id": types[PRIVATE_GROUPS],
                "selected_continents": [Continent.EUROPE],
                "preferred_theme_ids": [themes["Cultural & Historical"], themes["Food & Wine"]],
                "difficulty": 2,
                "budget": 4000,
            },
        ),
        Search(
            "The hardest trips in Nepal, in December, for 2,500: hardly any, so the search is widened",
            {"selected_countries": [countries["Nepal"]], "month": 12, "difficulty": 5, "budget": 2500},
        ),
    ]


def print_results(console: Console, search: Search, first: Response, repeated_ms: float) -> None:
    body = first.body
    table = Table(
        "Score",
        "Trip",
        "Starts",
        "Price",
        "Left",
        "Why",
        title=search.title,
        title_justify="left",
        title_style="bold",
        caption=f"{_summary(body)}\nFirst time {first.milliseconds:.0f} ms, repeated {repeated_ms:.1f} ms.",
        caption_justify="left",
    )
    for trip in first_of_each_title(body["data"])[:MAX_ROWS]:
        table.add_row(*_row(trip, search.preferences))
    console.print()
    console.print(table)


def first_of_each_title(trips: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the departures without those whose trip, to a traveller the same title, has a better one before them."""
    best: dict[str, dict[str, Any]] = {}
    for trip in trips:
        best.setdefault(trip["template"]["title"], trip)
    return list(best.values())


def _summary(body: dict[str, Any]) -> str:
    trips = first_of_each_title(body["data"])[:MAX_ROWS]
    found = f"Of each trip the best departure; {body['total_candidates']:,} departures fit."
    if body["relaxed_count"]:
        found = f"{body['primary_count']} departures fit; {body['relaxed_count']} that nearly fit were added."
    return f"{found}{order_of_equals(trips)}"


def order_of_equals(trips: list[dict[str, Any]]) -> str:
    """Return which of several shown departures with the same score comes first, or nothing if no two have the same."""
    equal = [pair for pair in pairwise(trips) if len({trip["match_score"] for trip in pair}) == 1]
    if not equal:
        return ""
    if any(first["startDate"] != second["startDate"] for first, second in equal):
        return " Equal scores: the earlier start comes first."
    return " Equal scores and dates: the departure with the smaller number comes first."


def _row(trip: dict[str, Any], preferences: dict[str, Any]) -> tuple[str, ...]:
    template = trip["template"]
    country = template["primaryCountry"]["name"] if template["primaryCountry"] else ""
    start = date.fromisoformat(trip["startDate"])
    is_agreed_later = start == DATE_TO_BE_AGREED
    return (
        str(trip["match_score"]),
        f"{template['title']}\n[dim]{country}, departure {trip['id']}[/dim]",
        "as agreed" if is_agreed_later else f"{start:%d %b %Y}\n[dim]{trip['durationDays']} days[/dim]",
        f"{float(trip['effectivePrice']):,.2f}",
        "" if is_agreed_later else f"{trip['spotsLeft']}\n[dim]{trip['status']}[/dim]",
        _reasons(trip, preferences),
    )


def _reasons(trip: dict[str, Any], preferences: dict[str, Any]) -> str:
    """Return the rules that add up to the score, and where a relaxed result is not what was asked for."""
    lines = trip["score_breakdown"]
    total = sum(line["points"] for line in lines)
    rules = ", ".join(f"Base [+{line['points']}]" if line["rule"] == "base" else line["label"] for line in lines)
    limit = f", at most {HIGHEST}" if total > HIGHEST else ""
    relaxed = relaxed_notes(trip, preferences) if trip["is_relaxed"] else []
    notes = f"\nRelaxed: {'; '.join(relaxed)}" if relaxed else ""
    return f"{rules} = {total}{limit}{notes}".replace("[", r"\[")


def relaxed_notes(trip: dict[str, Any], preferences: dict[str, Any]) -> list[str]:
    """Return in which ways a departure is not what was asked for, in words."""
    template, notes = trip["template"], []
    start, month = date.fromisoformat(trip["startDate"]), preferences.get("month")
    country = template["primaryCountry"]
    if month and start.month != month:
        notes.append(f"{start:%B} instead of {date(2000, month, 1):%B}")
    if "difficulty" in preferences and template["difficultyLevel"] != preferences["difficulty"]:
        notes.append(f"difficulty {template['difficultyLevel']} instead of {preferences['difficulty']}")
    if float(trip["effectivePrice"]) > preferences.get("budget", float("inf")):
        notes.append(f"above the budget of {preferences['budget']:,}")
    if country and country["id"] not in preferences.get("selected_countries", [country["id"]]):
        notes.append(f"{country['name']}, on the same continent")
    return notes
