"""The tour itself."""

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from rich.console import Console

from core.settings import Settings, load_settings
from indexer.backends import open_backends
from indexer.index.reconcile import IndexProblem, find_problem
from scripts.commands import database, index
from scripts.dev_stack.context import running_stack
from scripts.dev_stack.paths import cache_root
from scripts.dev_stack.processes import SMARTTRIP, Child, running
from scripts.dev_stack.wait import http_answers
from scripts.errors import port_taken
from scripts.ports import is_free
from scripts.walkthrough.change_demo import show_change
from scripts.walkthrough.client import Client
from scripts.walkthrough.search_demo import searches, show

BUSY = "A demo is running already; Ctrl-C where it was started ends it."
DEPARTURES = 5000
SEED = 1
WIDTH_WITHOUT_TERMINAL = 140
SETTINGS = {
    # What a shell or a .env says of other systems is not for this one.
    "DATABASE_DIRECT_URL": "",
    "DATABASE_REPLICA_URLS": "",
    "ELASTICSEARCH_ALIAS": "trips",
    "HOST": "127.0.0.1",
    "WORKERS": "2",
    "WORKER_PORT": "",
    "RATE_LIMIT_ENABLED": "false",
    "LOG_LEVEL": "warning",
}


def tour(*, once: bool) -> None:
    """Raises CommandError where another tour runs or the port is taken."""
    terminal = Console()
    console = terminal if terminal.is_terminal else Console(width=WIDTH_WITHOUT_TERMINAL)
    data = cache_root() / "demo"
    with ExitStack() as ending:
        with _step(console, "Postgres, Valkey and Elasticsearch"):
            os.environ.update(ending.enter_context(running_stack(data, busy=BUSY)) | SETTINGS)
        settings = load_settings()
        if not is_free(settings.port):
            raise port_taken(settings.port)
        _fill(settings)
        with _step(console, "API with two processes, and a worker"):
            api, worker = (
                ending.enter_context(running((SMARTTRIP, name), data / f"{name}.log")) for name in ("serve", "worker")
            )
            api.wait_until(lambda: http_answers(settings.port, "/readyz"))
        _show(console, settings)
        if not once:
            _stay(console, [api, worker])


def _fill(settings: Settings) -> None:
    database.migrate()
    database.seed(DEPARTURES, SEED, if_empty=True)
    if asyncio.run(_fault(settings)):
        index.reindex()


async def _fault(settings: Settings) -> IndexProblem | None:
    async with open_backends(settings) as stores:
        return await find_problem(stores)


def _show(console: Console, settings: Settings) -> None:
    client = Client(settings.port)
    wanted = searches(client)
    for search in wanted:
        show(console, search, client.search(search.wishes))
    show_change(console, client, wanted[0], settings.database_url)
    api = f"http://{settings.host}:{settings.port}"
    console.print(f"\nAPI                {api}/docs   {api}/openapi.json   {api}/metrics")
    for name in ("DATABASE_URL", "REDIS_URL", "ELASTICSEARCH_URL"):
        console.print(f"{name:<18} {os.environ[name]}", soft_wrap=True)


def _stay(console: Console, children: Sequence[Child]) -> None:
    console.print("\nCtrl-C ends everything.")
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(0.5)
            for child in children:
                child.check()


@contextmanager
def _step(console: Console, title: str) -> Iterator[None]:
    began = time.monotonic()
    with console.status(f"{title} ..."):
        yield
    console.print(f"{title}: up in {time.monotonic() - began:.1f} s.")
