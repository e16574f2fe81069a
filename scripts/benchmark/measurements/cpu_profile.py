"""Where the CPU time of a request goes: samples of py-spy by part of the API, and a flame graph."""

import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.table import Table

from scripts.benchmark.comparison.bench import Bench
from scripts.benchmark.comparison.contestants import Contestant, generate
from scripts.benchmark.comparison.scenarios import (
    CACHED,
    LIMITED,
    LIMITED_SETTINGS,
    UNCACHED,
    UNCACHED_SETTINGS,
    events,
    recommendations,
)
from scripts.benchmark.comparison.suite import BUSY, DISTINCT_EVENTS, POPULAR, TODAY, Report
from scripts.benchmark.comparison.tracking_stream import BenchStream
from scripts.benchmark.comparison.visitor_requests import lists, trip_pages
from scripts.benchmark.comparison.visitor_rows import LIST, TRIP_PAGE
from scripts.benchmark.datasets import catalogue
from scripts.benchmark.measurements.flame_graph import draw
from scripts.benchmark.measurements.profile_parts import read_event_loop_samples, shares_by_part
from scripts.benchmark.processes import Server
from scripts.dev_stack.context import running_stack
from scripts.dev_stack.processes import SMARTTRIP
from scripts.errors import CliError

CONCURRENCY = 8
SAMPLES_PER_SECOND = "200"
MARGIN_SECONDS = 2.0
"""For which requests are sent to warm up, and before and after a recording."""


@dataclass(frozen=True)
class ProfiledRequest:
    """A kind of request, and the settings of the server that gets it."""

    name: str
    contestant: Callable[[Bench, Server], Contestant]
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """Name of its recording and of its flame graph, without the suffix."""
        return self.name.replace(" ", "-")


def _popular(bench: Bench, server: Server) -> Contestant:
    return recommendations(server, bench.mix[:POPULAR])


PROFILED = (
    ProfiledRequest(CACHED, _popular),
    ProfiledRequest(LIMITED, _popular, LIMITED_SETTINGS),
    ProfiledRequest("events", lambda _, server: events(server, DISTINCT_EVENTS)),
    ProfiledRequest(UNCACHED, lambda bench, server: recommendations(server, bench.mix), UNCACHED_SETTINGS),
    ProfiledRequest(TRIP_PAGE, lambda bench, server: trip_pages(server, bench.catalogue.size)),
    ProfiledRequest(LIST, lambda bench, server: lists(server, bench.catalogue.size)),
)


@dataclass(frozen=True)
class CpuProfile:
    requests: str
    cpu_us: float
    """CPU microseconds of a request, those of recording left out."""
    shares: Mapping[str, float]
    """Of the samples, by part."""
    flame_graph: str
    """Path of the SVG."""


def measure(data: Path, departures: int, seconds: float, folder: Path, report: Report) -> list[CpuProfile]:
    """Record each kind of request for `seconds`, and draw its flame graph into the folder.

    Raises: CliError, if py-spy is missing or may not record, another benchmark runs or a response is wrong.
    """
    recorder = Recorder(find_py_spy(), seconds, folder)
    folder.mkdir(parents=True, exist_ok=True)
    with running_stack(data, busy=BUSY) as services:
        report(f"{departures:,} departures: catalogue and index")
        bench = Bench(catalogue(departures, services, TODAY), data)
        env = bench.catalogue.env
        profiles = []
        for requests in PROFILED:
            report(requests.name)
            with (
                bench.api("profile", **requests.settings) as server,
                BenchStream(env["REDIS_URL"], env["REDIS_PREFIX"]).kept_empty(),
            ):
                profiles.append(recorder.profile(requests, requests.contestant(bench, server), server))
        return profiles


def find_py_spy() -> str:
    """Return the path of the profiler. Raises: CliError, if it is not installed."""
    beside = Path(SMARTTRIP).with_name("py-spy")
    found = str(beside) if beside.is_file() else shutil.which("py-spy")
    if found is None:
        raise CliError("py-spy is not installed; ./scripts/setup installs it.")
    return found


@dataclass(frozen=True)
class Recorder:
    """Runs py-spy: each recording takes so many seconds, and ends up as two files in the folder."""

    py_spy: str
    seconds: float
    folder: Path

    def profile(self, requests: ProfiledRequest, contestant: Contestant, server: Server) -> CpuProfile:
        seconds = self.seconds + 2 * MARGIN_SECONDS
        plan = replace(contestant.plan, concurrency=CONCURRENCY, seconds=seconds, warm_up=False)
        warm_up = generate(replace(plan, seconds=MARGIN_SECONDS)).sent
        before = server.cpu_seconds()
        sent = generate(replace(plan, skip=warm_up)).sent
        cpu_us = (server.cpu_seconds() - before) / sent * 1e6
        stacks = self.folder / f"{requests.file}.txt"
        with ThreadPoolExecutor(1) as sender:
            sending = sender.submit(generate, replace(plan, skip=warm_up + sent))
            # The generator has to start first.
            time.sleep(MARGIN_SECONDS)
            self.record(server.pid, stacks)
            sending.result()
        shares, graph = summarise(stacks, requests.name)
        return CpuProfile(requests.name, cpu_us, shares, str(graph))

    def record(self, pid: int, path: Path) -> None:
        """Record the stacks of a process into the file. Raises: CliError."""
        command = [self.py_spy, "record", "--pid", str(pid), "--duration", str(max(1, round(self.seconds)))]
        # Stopped for each sample, as stacks that are read while a process runs are torn. Only threads with the GIL
        # count: the main one is without it while it waits, and while uvloop reads from sockets.
        command += ["--gil", "--function", "--rate", SAMPLES_PER_SECOND, "--format", "raw", "--output", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not path.is_file():
            said = " ".join(done.stderr.split()) or f"it ended with {done.returncode}"
            raise CliError(f"py-spy could not record: {said}")


def summarise(stacks: Path, title: str) -> tuple[Mapping[str, float], Path]:
    """Return the share of each part in recorded stacks, and the flame graph drawn beside them. Raises: CliError."""
    with stacks.open(encoding="utf-8") as lines:
        samples = read_event_loop_samples(lines)
    if not samples:
        raise CliError(f"py-spy recorded no sample of the event loop ({title}); record for longer with --seconds.")
    graph = stacks.with_suffix(".svg")
    graph.write_text(draw(samples, title), "utf-8")
    return shares_by_part(samples), graph


def table(profiles: list[CpuProfile]) -> Table:
    parts = dict.fromkeys(part for profile in profiles for part in profile.shares)
    rows = Table("part, % of the samples", *(profile.requests for profile in profiles), title="Where the CPU time goes")
    for part in parts:
        rows.add_row(part, *(f"{profile.shares.get(part, 0):.1%}" for profile in profiles))
    rows.add_section()
    rows.add_row("CPU µs of a request", *(f"{profile.cpu_us:.0f}" for profile in profiles))
    rows.caption = "\n".join(profile.flame_graph for profile in profiles)
    return rows
