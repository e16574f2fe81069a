"""Three searches and their results, as tables."""

from datetime import date
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from schemas.enums import PRIVATE_GROUPS, Continent
from scripts.walkthrough.client import Client, Response

MAX_ROWS = 5


class Search(NamedTuple):
    title: str
    preferences: dict[str, Any]


def searches(client: Client) -> list[Search]:
    themes, types, countries = client.ids("/api/tags"), client.ids("/api/trip-types"), client.ids("/api/countries")
    return [
        Search(
            "Culture and food in Asia: one to two weeks, moderately hard, up to 9,000",
            {
                "selected_continents": [Continent.ASIA],
                "preferred_theme_ids": [themes["Cultural & Historical"], themes["Food & Wine"]],
                "min_duration": 7,
                "max_duration": 14,
                "difficulty": 2,
                "budget": 9000,
            },
        ),
        Search(
            "A trip for a group of our own in Europe",
            {"preferred_type_id": types[PRIVATE_GROUPS], "selected_continents": [Continent.EUROPE]},
        ),
        Search(
            "The hardest trips in Nepal, in December, for 2,500: hardly any, so the search is widened",
            {"selected_countries": [countries["Nepal"]], "month": 12, "difficulty": 5, "budget": 2500},
        ),
    ]


def print_results(console: Console, search: Search, response: Response) -> None:
    body = response.body
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
        caption=f"{body['message']}, out of {body['total_candidates']:,} that fit, in {response.milliseconds:.0f} ms.",
        caption_justify="left",
    )
    for trip in body["data"][:MAX_ROWS]:
        table.add_row(*_row(trip))
    console.print()
    console.print(table)


def _row(trip: dict[str, Any]) -> tuple[str, ...]:
    template = trip["template"]
    country = template["primaryCountry"]["name"] if template["primaryCountry"] else ""
    start = date.fromisoformat(trip["startDate"])
    return (
        str(trip["match_score"]),
        f"{template['title']}\n[dim]{country}, departure {trip['id']}[/dim]",
        f"{start:%d %b %Y}\n[dim]{trip['durationDays']} days[/dim]",
        f"{float(trip['effectivePrice']):,.2f}",
        f"{trip['spotsLeft']}\n[dim]{trip['status']}[/dim]",
        ", ".join(trip["match_details"]).replace("[", r"\["),
    )
