"""`smarttrip demo`."""

# ruff: noqa: PLC0415 -- --help must not load what the commands need.

from typing import Annotated

import typer


def demo(once: Annotated[bool, typer.Option("--once", help="End by itself instead of waiting.")] = False) -> None:
    """Show the whole system at work: real services, sample trips, three searches, a change that the answers follow.

    PORT is the API's port (default 5000). Exit code 4: a demo is running already, or the port is taken.
    """
    from scripts.walkthrough.run import tour

    tour(once=once)
