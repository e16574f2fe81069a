"""The steps of the demo."""

import os
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from rich.console import Console

from core.business_date import business_date_provider
from core.configuration.settings import Settings, load_settings
from schemas.enums import Continent
from scripts.commands import database, index
from scripts.dev_stack import manager
from scripts.dev_stack.context import reserved_folder, running_stack
from scripts.dev_stack.elasticsearch.class_cache import training_in_background
from scripts.dev_stack.elasticsearch.service import ELASTICSEARCH
from scripts.dev_stack.paths import cache_root
from scripts.dev_stack.processes import SMARTTRIP, Child, running
from scripts.dev_stack.prometheus import worker_port
from scripts.dev_stack.service import Service
from scripts.dev_stack.wait import http_ok
from scripts.early_settings import early_settings
from scripts.errors import CliError
from scripts.interrupts import run_cancellable
from scripts.ports import require_free
from scripts.walkthrough.catalogue_age import discard_outdated, record_catalogue
from scripts.walkthrough.change_demo import show_change
from scripts.walkthrough.client import Client
from scripts.walkthrough.search_demo import print_results, searches

BUSY = "A demo is running already; Ctrl-C where it was started ends it."
LATE = (ELASTICSEARCH,)
"""Elasticsearch takes the longest to start; the database is filled and the API starts meanwhile."""
DEPARTURES = 5000
SEED = 1
WIDTH_WITHOUT_TERMINAL = 140
WARM_MILLISECONDS = 100
WARM_IN_A_ROW = 8
MOST_WARM_UP_SEARCHES = 120
REPETITIONS = 5
"""Searches whose median is shown: on a busy machine a single one may be late."""
SETTINGS = {
    # A shell or a .env file may have settings for other systems.
    "DATABASE_DIRECT_URL": "",
    "DATABASE_REPLICA_URLS": "",
    "ELASTICSEARCH_ALIAS": "trips",
    "REDIS_PREFIX": "",
    "HOST": "127.0.0.1",
    "WORKERS": "1",
    "WORKER_PORT": "",
    "RATE_LIMIT_ENABLED": "false",
    # No load balancer has to notice the end.
    "DRAIN_SECONDS": "0",
    "LOG_LEVEL": "warning",
}


def run_demo(*, once: bool, observers: Sequence[Service] = ()) -> None:
    """Run the demo, watched by the observers; unless `once`, keep the system running until Ctrl-C.

    Raises CliError if another demo runs or the port is taken.
    """
    terminal = Console()
    console = terminal if terminal.is_terminal else Console(width=WIDTH_WITHOUT_TERMINAL)
    with ExitStack() as stack:
        data, early = cache_root() / "demo", early_settings()
        today = business_date_provider(early)()
        with reserved_folder(data, BUSY):
            require_free(early.port)
            discard_outdated(data, today)
        stack.enter_context(training_in_background(wait=once))
        settings = _start_services(console, stack, data, observers)
        database.migrate()
        database.seed(DEPARTURES, SEED, if_empty=True)
        record_catalogue(data, today)
        children = _start_system(console, stack, data, settings)
        _show(console, settings)
        _print_observers(console, data, observers)
        if once:
            console.print("\nWithout --once everything keeps running, for your own searches: ./scripts/demo")
        else:
            _print_ways_on(console, settings, data)
            _wait_for_ctrl_c(console, children)


def _start_services(console: Console, stack: ExitStack, data: Path, observers: Sequence[Service]) -> Settings:
    watched = {"WORKER_PORT": str(worker_port())} if observers else {}
    with _step(console, "Postgres and Valkey"):
        services = running_stack(data, busy=BUSY, services=(*manager.SERVICES, *observers), late=LATE)
        os.environ.update(stack.enter_context(services) | SETTINGS | watched)
    return load_settings()


def _start_system(console: Console, stack: ExitStack, data: Path, settings: Settings) -> Sequence[Child]:
    """Start the API while Elasticsearch starts, build the index if there is none, and start the worker."""
    api = _start(stack, "serve", data)
    with _step(console, "Elasticsearch"):
        manager.up(data, LATE, die_with_parent=True)
        if manager.environment(data)[ELASTICSEARCH.variable] != os.environ[ELASTICSEARCH.variable]:
            raise CliError("Elasticsearch's port was taken, so it has another one now: start the demo again.")
    if not run_cancellable(_has_index(settings)):
        index.reindex()
    worker = _start(stack, "worker", data)
    with _step(console, "API"):
        api.wait_until(lambda: http_ok(settings.port, "/readyz"))
    return api, worker


def _start(stack: ExitStack, command: str, logs: Path) -> Child:
    return stack.enter_context(running((SMARTTRIP, command), logs / f"{command}.log"))


async def _has_index(settings: Settings) -> bool:
    # Imported while Elasticsearch starts, which takes longer than to import them.
    from indexer.backends import open_backends  # noqa: PLC0415
    from indexer.index.reconcile import find_problem  # noqa: PLC0415

    async with open_backends(settings) as backends:
        return await find_problem(backends) is None


def _show(console: Console, settings: Settings) -> None:
    client = Client(settings.port)
    _warm_up(client)
    examples = searches(client)
    for search in examples:
        first = client.search(search.preferences)
        repeated = [client.search(search.preferences).milliseconds for _ in range(REPETITIONS)]
        print_results(console, search, first, median(repeated))
    show_change(console, client, examples[0], settings.database_url)


def _warm_up(client: Client) -> None:
    """Search until a service that has just started is as fast as one that runs."""
    fast_in_a_row = 0
    for number in range(MOST_WARM_UP_SEARCHES):
        # Each differs from those before, and every second one, which nothing fits, is widened.
        searched = (
            {"budget": 1000 + number} if number % 2 else {"budget": 1 + number / 100, "difficulty": 5, "month": 12}
        )
        found = client.search({"selected_continents": list(Continent), **searched})
        fast_in_a_row = fast_in_a_row + 1 if found.milliseconds < WARM_MILLISECONDS else 0
        if fast_in_a_row == WARM_IN_A_ROW:
            return


def _print_ways_on(console: Console, settings: Settings, data: Path) -> None:
    api = f"http://{settings.host}:{settings.port}"
    console.print("\n[bold]What to try next:[/bold]\n")
    console.print(f"  search yourself     {api}/docs#/recommendations/post-api-v2-recommendations", soft_wrap=True)
    console.print(f"  read the metrics    {api}/metrics")
    console.print(f"  see its health      {api}/api/health")
    command, folder = shlex.quote(SMARTTRIP), shlex.quote(str(data))
    in_another_shell = {
        "use its servers": f'eval "$({command} stack env --data {folder})"',
        "compare its index": f"{command} verify",
    }
    console.print("\nIn another shell, one after the other:\n")
    for title, line in in_another_shell.items():
        console.print(f"  {title:<19} {line}", soft_wrap=True, highlight=False)


def _print_observers(console: Console, data: Path, observers: Sequence[Service]) -> None:
    for state in manager.status(data):
        if state.service in observers:
            console.print(f"  {state.service.name:<19} {state.url}", soft_wrap=True)


def _wait_for_ctrl_c(console: Console, children: Sequence[Child]) -> None:
    """Return never. Raises CliError if a process ends meanwhile."""
    console.print("\nCtrl-C ends everything.")
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
