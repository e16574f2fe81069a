"""The steps of the demo."""

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from rich.console import Console

from core.settings import Settings, load_settings
from indexer.backends import open_backends
from indexer.index.reconcile import IndexProblem, find_problem
from scripts.commands import database, index
from scripts.dev_stack.context import running_stack
from scripts.dev_stack.passwords import hide_password
from scripts.dev_stack.paths import cache_root
from scripts.dev_stack.processes import SMARTTRIP, Child, running
from scripts.dev_stack.wait import http_ok
from scripts.ports import require_free
from scripts.walkthrough.change_demo import show_change
from scripts.walkthrough.client import Client
from scripts.walkthrough.search_demo import print_results, searches

BUSY = "A demo is running already; Ctrl-C where it was started ends it."
DEPARTURES = 5000
SEED = 1
WIDTH_WITHOUT_TERMINAL = 140
SETTINGS = {
    # A shell or a .env file may have settings for other systems.
    "DATABASE_DIRECT_URL": "",
    "DATABASE_REPLICA_URLS": "",
    "ELASTICSEARCH_ALIAS": "trips",
    "REDIS_PREFIX": "",
    "HOST": "127.0.0.1",
    "WORKERS": "2",
    "WORKER_PORT": "",
    "RATE_LIMIT_ENABLED": "false",
    "LOG_LEVEL": "warning",
}


def run_demo(*, once: bool) -> None:
    """Run the demo; unless `once`, keep the system running until Ctrl-C.

    Raises CliError if another demo runs or the port is taken.
    """
    terminal = Console()
    console = terminal if terminal.is_terminal else Console(width=WIDTH_WITHOUT_TERMINAL)
    with ExitStack() as stack:
        data = cache_root() / "demo"
        settings = _start_services(console, stack, data)
        _fill(settings)
        children = _start_processes(console, stack, data, settings.port)
        _show(console, settings)
        if not once:
            _wait_for_ctrl_c(console, children)


def _start_services(console: Console, stack: ExitStack, data: Path) -> Settings:
    with _step(console, "Postgres, Valkey and Elasticsearch"):
        os.environ.update(stack.enter_context(running_stack(data, busy=BUSY)) | SETTINGS)
    settings = load_settings()
    require_free(settings.port)
    return settings


def _fill(settings: Settings) -> None:
    database.migrate()
    database.seed(DEPARTURES, SEED, if_empty=True)
    if asyncio.run(_find_problem(settings)):
        index.reindex()


async def _find_problem(settings: Settings) -> IndexProblem | None:
    async with open_backends(settings) as backends:
        return await find_problem(backends)


def _start_processes(console: Console, stack: ExitStack, logs: Path, port: int) -> Sequence[Child]:
    with _step(console, "API with two processes, and a worker"):
        api, worker = (
            stack.enter_context(running((SMARTTRIP, name), logs / f"{name}.log")) for name in ("serve", "worker")
        )
        api.wait_until(lambda: http_ok(port, "/readyz"))
    return api, worker


def _show(console: Console, settings: Settings) -> None:
    client = Client(settings.port)
    examples = searches(client)
    for search in examples:
        print_results(console, search, client.search(search.preferences))
    show_change(console, client, examples[0], settings.database_url)
    api = f"http://{settings.host}:{settings.port}"
    console.print(f"\nAPI                {api}/docs   {api}/openapi.json   {api}/metrics")
    for name in ("DATABASE_URL", "REDIS_URL", "ELASTICSEARCH_URL"):
        console.print(f"{name:<18} {hide_password(os.environ[name])}", soft_wrap=True)


def _wait_for_ctrl_c(console: Console, children: Sequence[Child]) -> None:
    """Raises CliError if a process ends meanwhile."""
    console.print("\nCtrl-C ends everything.")
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(0.5)
            for child in children:
                child.check()


@contextmanager
def _step(console: Console, title: str) -> Iterator[None]:
    """Show a title while a step runs, and its duration afterwards."""
    started = time.monotonic()
    with console.status(f"{title} ..."):
        yield
    console.print(f"{title}: up in {time.monotonic() - started:.1f} s.")
