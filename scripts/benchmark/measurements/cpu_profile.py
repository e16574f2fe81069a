"""Where the CPU time of a request goes: samples of py-spy by part of the API, and a flame graph."""

import shutil
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

from rich.table import Table

from scripts.benchmark.comparison.bench import Bench
from scripts.benchmark.comparison.contestants import Contestant, generate
from scripts.benchmark.comparison.scenarios import CACHED, LIMITED, UNCACHED, events, recommendations
from scripts.benchmark.comparison.suite import BUSY, DISTINCT_EVENTS, POPULAR, TODAY, Report
from scripts.benchmark.comparison.tracking_stream import BenchStream
from scripts.benchmark.datasets import catalogue
from scripts.benchmark.measurements.profile_parts import shares_by_part
from scripts.benchmark.processes import Server
from scripts.dev_stack.context import running_stack
from scripts.dev_stack.processes import SMARTTRIP
from scripts.errors import CliError

CONCURRENCY = 8
SAMPLES_PER_SECOND = "200"
MARGIN_SECONDS = 2.0
"""For which requests are sent before and after a recording."""

PROFILED: Mapping[str, Mapping[str, str]] = {
    CACHED: {},
    LIMITED: {"RATE_LIMIT_ENABLED": "true", "RATE_LIMIT_RECOMMENDATIONS": "1000000/minute"},
    "events": {},
    UNCACHED: {"ANSWER_CACHE_SECONDS": "0"},
}
"""Settings of the server by kind of request."""


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
    """Record each kind of request twice for `seconds`: for shares, and for a flame graph in the folder.

    Raises: CliError, if py-spy is missing or may not record, another benchmark runs or a response is wrong.
    """
    recorder = Recorder(find_py_spy(), seconds, folder)
    folder.mkdir(parents=True, exist_ok=True)
    with running_stack(data, busy=BUSY) as services:
        report(f"{departures:,} departures: catalogue and index")
        bench = Bench(catalogue(departures, services, TODAY), data)
        env = bench.catalogue.env
        profiles = []
        for requests, settings in PROFILED.items():
            report(requests)
            with (
                bench.api("profile", **settings) as server,
                BenchStream(env["REDIS_URL"], env["REDIS_PREFIX"]).kept_empty(),
            ):
                profiles.append(recorder.profile(requests, _contestant(bench, requests, server), server))
        return profiles


def find_py_spy() -> str:
    """Return the path of the profiler. Raises: CliError, if it is not installed."""
    beside = Path(SMARTTRIP).with_name("py-spy")
    found = str(beside) if beside.is_file() else shutil.which("py-spy")
    if found is None:
        raise CliError("py-spy is not installed; `.venv/bin/pip install py-spy` installs it.")
    return found


def _contestant(bench: Bench, requests: str, server: Server) -> Contestant:
    if requests == "events":
        return events(server, DISTINCT_EVENTS)
    return recommendations(server, bench.mix if requests == UNCACHED else bench.mix[:POPULAR])


@dataclass(frozen=True)
class Recorder:
    """Runs py-spy: each recording takes so many seconds, and ends up as a file in the folder."""

    py_spy: str
    seconds: float
    folder: Path

    def profile(self, requests: str, contestant: Contestant, server: Server) -> CpuProfile:
        seconds = self.seconds + 2 * MARGIN_SECONDS
        plan = replace(contestant.plan, concurrency=CONCURRENCY, seconds=seconds, warm_up=False)
        generate(plan)
        before = server.cpu_seconds()
        sent = generate(plan).sent
        cpu_us = (server.cpu_seconds() - before) / sent * 1e6
        stacks, graph = (self.folder / f"{requests.replace(' ', '-')}.{suffix}" for suffix in ("txt", "svg"))
        for path, form in ((stacks, "raw"), (graph, "flamegraph")):
            with ThreadPoolExecutor(1) as sender:
                sending = sender.submit(generate, plan)
                # The generator has to start first.
                time.sleep(MARGIN_SECONDS)
                self.record(server.pid, path, form, requests)
                sending.result()
        with stacks.open(encoding="utf-8") as lines:
            return CpuProfile(requests, cpu_us, shares_by_part(lines), str(graph))

    def record(self, pid: int, path: Path, form: str, title: str) -> None:
        """Record a process into the file. Raises: CliError."""
        command = [self.py_spy, "record", "--pid", str(pid), "--duration", str(max(1, round(self.seconds)))]
        # Stopped for each sample, as stacks that are read while a process runs are torn. Only threads with the GIL
        # count: the main one is without it while it waits, and while uvloop reads from sockets.
        command += ["--gil", "--rate", SAMPLES_PER_SECOND, "--format", form, "--output", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not path.is_file():
            said = " ".join(done.stderr.split()) or f"it ended with {done.returncode}"
            raise CliError(f"py-spy could not record: {said}")
        # By default a graph's title is the command, with paths of this machine.
        path.write_text(path.read_text("utf-8").replace(escape(" ".join(command)), escape(title)), "utf-8")


def table(profiles: list[CpuProfile]) -> Table:
    parts = dict.fromkeys(part for profile in profiles for part in profile.shares)
    rows = Table("part, µs per request", *(profile.requests for profile in profiles), title="Where the CPU time goes")
    for part in parts:
        rows.add_row(part, *(f"{profile.cpu_us * profile.shares.get(part, 0):.1f}" for profile in profiles))
    rows.add_section()
    rows.add_row("all", *(f"{profile.cpu_us:.0f}" for profile in profiles))
    rows.caption = "\n".join(profile.flame_graph for profile in profiles)
    return rows
