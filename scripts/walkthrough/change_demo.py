"""A change in Postgres, made by somebody who knows nothing of us, and the answer that follows."""

import asyncio
import time

import asyncpg
from rich.console import Console

from scripts.dev_stack.wait import until
from scripts.errors import CliError
from scripts.walkthrough.client import Client
from scripts.walkthrough.search_demo import Search

SECONDS_TO_FOLLOW = 15


def show_change(console: Console, client: Client, search: Search, database_url: str) -> None:
    """The best trip sells out and drops out of the answer; somebody cancels and it is back."""
    best = client.search(search.wishes).body["data"][0]
    console.print("\n[bold]Now the best of the first search sells out, in Postgres, with plain SQL:[/bold]\n")
    for spots, listed in ((0, False), (best["spotsLeft"], True)):
        statement = f"UPDATE trip_occurrences SET spots_left = {spots} WHERE id = {best['id']}"  # noqa: S608
        console.print(f"  {statement};", highlight=False)
        asyncio.run(_execute(database_url, statement))
        seconds = _seconds_until(client, search, best["id"], listed=listed)
        place = "back at the top of" if listed else "gone from"
        console.print(f"  [dim]{seconds:.2f} s later it is {place} the answer.[/dim]")


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _seconds_until(client: Client, search: Search, departure: int, *, listed: bool) -> float:
    """Raises CommandError if the answer does not follow."""
    began = time.monotonic()

    def followed() -> bool:
        found = [trip["id"] for trip in client.search(search.wishes).body["data"]]
        return found[:1] == [departure] if listed else departure not in found

    if not until(followed, SECONDS_TO_FOLLOW, interval=0.02):
        raise CliError(f"The answer has not followed the change within {SECONDS_TO_FOLLOW} s.")
    return time.monotonic() - began
