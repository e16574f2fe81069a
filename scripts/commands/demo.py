"""`smarttrip demo`: what `scripts/demo` runs."""

# ruff: noqa: PLC0415 -- imports inside the commands keep --help fast.

from typing import Annotated

import typer


def demo(
    once: Annotated[bool, typer.Option("--once", help="Exit after the last step.")] = False,
    observe: Annotated[bool, typer.Option("--observe", help="Start Prometheus and Alertmanager, too.")] = False,
) -> None:
    """Show the whole system at work: real services, sample trips, three searches, a change that reaches the results.

    The API listens on PORT (default 5000), with --observe the worker on WORKER_PORT (default 5001), too. Exit code 4:
    a demo is running already; 7: the port is taken.
    """
    from scripts.commands.stack import installed_observers
    from scripts.walkthrough.run import run_demo

    run_demo(once=once, observers=installed_observers() if observe else ())
