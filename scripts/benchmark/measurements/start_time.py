"""Time from the start of `smarttrip serve` until `/readyz` says that it is ready, and of its first search."""

import os
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

import psutil
from rich.table import Table

from scripts.benchmark.comparison.suite import BUSY, TODAY, Report
from scripts.benchmark.datasets import catalogue
from scripts.dev_stack.context import running_stack
from scripts.dev_stack.ports import free_port
from scripts.dev_stack.processes import SMARTTRIP, running
from scripts.dev_stack.wait import http_ok
from scripts.errors import CliError

DEPARTURES = 1000
POLL_SECONDS = 0.005

SEARCH = '{"selected_continents": ["Asia"], "preferred_theme_ids": [1, 4], "budget": 9000, "difficulty": 2}'
SEARCH_TIMEOUT = 10.0


@dataclass(frozen=True)
class Start:
    seconds: float
    cpu_seconds: float
    """What the process itself computed, which other work on the machine prolongs less."""
    first_search_seconds: float
    """How long the first search took, on a connection of its own."""


def measure(data: Path, rounds: int, report: Report) -> Sequence[Start]:
    """Measure starts. Raises: CliError, if another benchmark runs or the server does not become ready."""
    with running_stack(data, busy=BUSY) as services:
        env = {**os.environ, **catalogue(DEPARTURES, services, TODAY).env}
        report("one start, after which Python has compiled all modules")
        start_once(env, data / "start.log")
        report(f"{rounds} starts")
        return [start_once(env, data / "start.log") for _ in range(rounds)]


def start_once(env: dict[str, str], log: Path) -> Start:
    """Start the API, wait until it is ready, and end it."""
    port = free_port()
    started = time.monotonic()
    with running([SMARTTRIP, "serve", "--port", str(port)], log, env) as child:
        child.wait_until(lambda: http_ok(port, "/readyz"), POLL_SECONDS)
        seconds = time.monotonic() - started
        times = psutil.Process(child.process.pid).cpu_times()
        return Start(seconds, times.user + times.system, _search(port))


def _search(port: int) -> float:
    """Make a search that no cache has; return how long it takes. Raises: CliError, if it fails."""
    connection = HTTPConnection("127.0.0.1", port, timeout=SEARCH_TIMEOUT)
    with closing(connection):
        began = time.monotonic()
        headers = {"Content-Type": "application/json", "Connection": "close"}
        connection.request("POST", "/api/v2/recommendations", SEARCH, headers)
        response = connection.getresponse()
        response.read()
        if response.status != HTTPStatus.OK:
            raise CliError(f"The first search was answered with {response.status}.")
        return time.monotonic() - began


def table(starts: Sequence[Start]) -> Table:
    rows = Table("", "fastest s", "median s", "slowest s", title=f"Until the API is ready, {len(starts)} starts")
    for name, seconds in (
        ("elapsed", [start.seconds for start in starts]),
        ("CPU", [start.cpu_seconds for start in starts]),
        ("first search", [start.first_search_seconds for start in starts]),
    ):
        rows.add_row(name, f"{min(seconds):.3f}", f"{median(seconds):.3f}", f"{max(seconds):.3f}")
    return rows
