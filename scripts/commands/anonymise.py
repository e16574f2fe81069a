"""`smarttrip anonymise`: a copy of the database without its persons."""

# ruff: noqa: PLC0415 -- imports inside the command keep --help fast.

from typing import Annotated

import typer

from scripts.commands.options import JsonOption, setting, whole_number
from scripts.commands.output import print_counts
from scripts.commands.settings import load_command_settings
from scripts.interrupts import run_cancellable

PercentOption = Annotated[
    int,
    typer.Option(
        parser=whole_number(1, 100), metavar="N", help="Templates that are copied, with their departures, in percent."
    ),
]


def anonymise(
    into: Annotated[
        str,
        typer.Option(
            "--into", parser=setting("database_url"), metavar="URL", help="Empty database that takes the copy."
        ),
    ],
    percent: PercentOption = 100,
    json: JsonOption = False,
) -> None:
    """Copy the catalogue into an empty database: statistics are kept, persons are left out."""
    from scripts.staging.anonymised_copy import copy_anonymised

    print_counts(run_cancellable(copy_anonymised(load_command_settings().direct_url, into, percent)), json)
