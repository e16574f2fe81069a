"""Change a trip in Postgres with plain SQL, as any application would, and wait until searches show it."""

import time

from rich.console import Console

from core.configuration.postgres_url import parse_postgres_url
from core.postgres.connection import connect
from scripts.dev_stack.wait import until
from scripts.errors import CliError
from scripts.interrupts import run_cancellable
from scripts.walkthrough.client import Client
from scripts.walkthrough.search_demo import Search

SECONDS_TO_FOLLOW = 15


def show_change(console: Console, client: Client, search: Search, database_url: str) -> None:
    """Sell out the best trip and wait until it drops out of the results; free its spots and wait until it is back."""
    best = client.search(search.preferences).body["data"][0]
    console.print("\n[bold]Now the best of the first search sells out, in Postgres, with plain SQL:[/bold]\n")
    for spots, is_listed in ((0, False), (best["spotsLeft"], True)):
        statement = f"UPDATE trip_occurrences SET spots_left = {spots} WHERE id = {best['id']}"  # noqa: S608
        console.print(f"  {statement};", highlight=False)
        run_cancellable(_execute(database_url, statement))
        seconds = _seconds_until(client, search, best["id"], is_listed=is_listed)
        place = "back at the top of" if is_listed else "gone from"
        console.print(f"  [dim]{seconds:.2f} s later it is {place} the results.[/dim]")


async def _execute(url: str, statement: str) -> None:
    connection = await connect(parse_postgres_url(url))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _seconds_until(client: Client, search: Search, departure: int, *, is_listed: bool) -> float:
    """Return the seconds until searches show the change. Raises CliError after SECONDS_TO_FOLLOW."""
    started = time.monotonic()

    def is_visible() -> bool:
        found = [trip["id"] for trip in client.search(search.preferences).body["data"]]
        return found[:1] == [departure] if is_listed else departure not in found

    if not until(is_visible, SECONDS_TO_FOLLOW, interval=0.02):
        raise CliError(f"Searches do not show the change after {SECONDS_TO_FOLLOW} s; the worker's log is worker.log.")
    return time.monotonic() - started
