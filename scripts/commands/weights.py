"""`smarttrip weights`: the points of the rules, as stored sets."""

# ruff: noqa: PLC0415 -- imports inside the commands keep --help fast.

from pathlib import Path
from typing import Annotated

import typer

from scripts.commands.group import FastGroup
from scripts.commands.options import (
    ByOption,
    JsonOption,
    existing_file,
    text,
    weight_set_name,
    weight_set_reference,
    who,
)
from scripts.commands.output import print_json
from scripts.commands.transaction import in_postgres
from scripts.errors import CliError, ExitCode

app = typer.Typer(cls=FastGroup, no_args_is_help=True, help="Store and show weight sets: the points of the rules.")


@app.command("list")
def list_sets(json: JsonOption = False) -> None:
    """List the weight sets: who stored them and when, and which points differ from the platform's."""
    from indexer.rollout.weight_sets import summaries
    from scoring.weights import PLATFORM_WEIGHTS

    found = in_postgres(summaries)
    if json:
        print_json(found)
        return
    for each in found:
        when = "" if each.created_at is None else f"{each.created_at:%Y-%m-%d %H:%M} "
        own = PLATFORM_WEIGHTS.model_dump()
        changes = ", ".join(f"{name} {points} instead of {own[name]}" for name, points in each.changes.items())
        typer.echo(f"{each.reference:<24}{when}{each.created_by}: {each.comment}{' ' * bool(changes)}{changes}")


@app.command()
def add(
    name: Annotated[
        str,
        typer.Argument(parser=weight_set_name, metavar="NAME", help="Name of the set; another version if it exists."),
    ],
    file: Annotated[
        Path,
        typer.Argument(parser=existing_file, metavar="FILE", help="JSON object with the points that differ, by rule."),
    ],
    comment: Annotated[
        str | None,
        typer.Option("--comment", parser=text, metavar="TEXT", help="What the set is for."),
    ] = None,
    by: ByOption = None,
    json: JsonOption = False,
) -> None:
    """Store a weight set and print its reference, by which it is chosen."""
    from indexer.rollout import weight_sets

    try:
        weights = weight_sets.parse_weights(_read(file))
        stored = in_postgres(
            lambda connection: weight_sets.add(connection, name, weights, by=who(by), comment=comment or "")
        )
    except weight_sets.WeightSetError as error:
        raise CliError(str(error)) from None
    if json:
        print_json({"reference": stored.reference, "points": stored.weights.model_dump()})
    else:
        typer.echo(stored.reference)


@app.command()
def show(
    reference: Annotated[
        str, typer.Argument(parser=weight_set_reference, metavar="REFERENCE", help="Such as summer@1, or platform.")
    ],
    json: JsonOption = False,
) -> None:
    """Print the points of a weight set, by rule. Exit code 9: there is no such set."""
    from indexer.rollout.weight_sets import find

    found = in_postgres(lambda connection: find(connection, reference))
    if found is None:
        raise CliError(f"There is no weight set {reference}.", ExitCode.NO_SUCH_SET)
    points = found.weights.model_dump()
    if json:
        print_json({"reference": found.reference, "points": points})
        return
    for rule, number in points.items():
        typer.echo(f"{rule:<24}{number:>5}")


def _read(file: Path) -> object:
    """Return the content of a JSON file. Raises: CliError, also if a rule stands in it twice."""
    from json import loads

    import orjson

    content = file.read_bytes()
    try:
        orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise CliError(
            f"{file} should be a JSON object; it is no JSON from line {error.lineno}, column {error.colno} on."
        ) from None
    return loads(content, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = [name for name, _ in pairs]
    if twice := {name for name in names if names.count(name) > 1}:
        raise CliError(f"{min(twice)} should be given once.")
    return dict(pairs)
