"""`smarttrip size`: how large an installation has to be, and what it costs."""

# ruff: noqa: PLC0415 -- imports inside the commands keep --help fast.

import re
from typing import TYPE_CHECKING, Annotated

import typer

from scripts.commands.options import JsonOption, beginnings, number, whole_number
from scripts.commands.output import print_json
from scripts.sizing.figures import HIT_RATE

if TYPE_CHECKING:
    from scripts.sizing.plan import Plan


def _price(value: object) -> str:
    """Validate NAME=DOLLARS; `_prices` returns them as numbers."""
    from scripts.sizing.prices import PRICES

    name, _, amount = str(value).partition("=")
    if name not in PRICES or not re.fullmatch(r"\d{1,7}(\.\d{1,2})?", amount, re.ASCII):
        raise typer.BadParameter(f"should be NAME=DOLLARS, such as instance=25, with one of {', '.join(PRICES)}")
    return str(value)


def _price_names() -> list[str]:
    from scripts.sizing.prices import PRICES

    return [f"{name}=" for name in PRICES]


def size(  # noqa: PLR0913, PLR0917 -- one for each option
    users: Annotated[
        int, typer.Option(parser=whole_number(1), metavar="N", help="Users at the same time, at the peak.")
    ] = 1000,
    departures: Annotated[
        int, typer.Option(parser=whole_number(1), metavar="N", help="Departures in the catalogue.")
    ] = 100_000,
    hit_rate: Annotated[
        float,
        typer.Option(parser=number(0, 1), metavar="SHARE", help="Share of the searches whose response is cached."),
    ] = HIT_RATE,
    slower_by: Annotated[
        float,
        typer.Option(
            parser=number(0.1, 100), metavar="FACTOR", help="Cores of yours that do what one measured core does."
        ),
    ] = 3.0,
    price: Annotated[
        list[str] | None,
        typer.Option(
            parser=_price,
            autocompletion=beginnings(_price_names),
            metavar="NAME=DOLLARS",
            help="A monthly price of yours, in place of the proposal's.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Print instances, memory, disk and monthly cost for a number of users and departures, from measured figures."""
    from scripts.sizing.plan import Load, make_plan
    from scripts.sizing.prices import PRICES

    prices = {**PRICES, **{name: float(dollars) for name, _, dollars in (text.partition("=") for text in price or ())}}
    plan = make_plan(Load(users, departures, hit_rate, slower_by), prices)
    if json:
        print_json(plan)
    else:
        typer.echo("\n".join(plan_lines(plan)))


def plan_lines(plan: "Plan") -> list[str]:
    """Return the plan as a table."""
    from scripts.sizing.prices import DATE

    load = plan.load
    lines = [
        f"{load.users:,} users and {load.departures:,} departures: {plan.requests_per_second:,.0f} requests a second,"
        f" {plan.searches_per_second:,.0f} of them searches, {load.hit_rate:.0%} of those cached.",
        "",
        f"{'part':<16}{'cores':>8}{'instances':>11}{'MiB each':>10}{'GiB disk':>10}{'$ a month':>11}",
    ]
    for part in plan.parts:
        disk, memory = part.disk_gib or "", part.memory_mib or ""
        lines.append(
            f"{part.name:<16}{part.cores:>8.2f}{part.instances:>11}{memory:>10}{disk:>10}{part.dollars:>11,.0f}"
        )
    return [
        *lines,
        "",
        f"${plan.dollars_per_month:,.0f} a month, ${plan.dollars_per_million_searches:,.2f} for a million searches;"
        f" prices of {DATE} unless you named others.",
    ]
