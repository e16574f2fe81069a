"""Profiles: samples belong to parts, and what keeps py-spy from recording is said in a sentence."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from scripts.benchmark.measurements import cpu_profile
from scripts.benchmark.measurements.cpu_profile import CpuProfile, Recorder, find_py_spy, table
from scripts.benchmark.measurements.profile_parts import FILES, OTHER, shares_by_part
from scripts.errors import CliError
from tests.support.recipes import ROOT

RUN = "<module> (smarttrip:8);Runner.run (asyncio/runners.py:118)"


def stack(*frames: str, samples: int = 1) -> str:
    return ";".join((RUN, *frames)) + f" {samples}"


def share_of(*frames: str) -> Sequence[str]:
    return [*shares_by_part([stack(*frames)])]


def test_sample_belongs_to_its_deepest_known_frame() -> None:
    assert share_of("Cycle.send (app/server/request_cycle.py:9)", "dumps (json/__init__.py:1)") == ["HTTP server"]
    assert share_of("explain (scoring/explain.py:60)", "In.matches_all (scoring/predicates.py:99)") == [
        "scores and reasons"
    ]
    assert share_of() == ["event loop, reading from sockets"]


def test_shares_are_those_of_the_main_thread() -> None:
    waiting = "Thread._bootstrap (threading.py:1002);LogWriter._write_forever (core/logs/writer.py:80) 900"
    shares = shares_by_part([stack("_drain (app/backends/batching.py:4)", samples=30), stack(samples=10), waiting])
    assert shares == {"Redis": 0.75, "event loop, reading from sockets": 0.25}


def test_parts_name_files_that_exist() -> None:
    own = [path for path in FILES if path.startswith(("app/", "core/", "schemas/", "scoring/"))]
    assert own
    assert [path for path in own if not (ROOT / path).exists() and not list(ROOT.glob(f"{path}*"))] == []


def test_table_shows_every_part_of_every_profile() -> None:
    profiles = [CpuProfile("cached", 50.0, {"Redis": 1.0}, "a.svg"), CpuProfile("events", 70.0, {OTHER: 1.0}, "b.svg")]
    assert table(profiles).row_count == 3


def test_missing_profiler_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cpu_profile, "SMARTTRIP", str(tmp_path / "smarttrip"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CliError, match="py-spy is not installed"):
        find_py_spy()


def make_profiler(folder: Path, script: str) -> Recorder:
    profiler = folder / "py-spy"
    profiler.write_text(f"#!/bin/sh\n{script}\n")
    profiler.chmod(0o755)
    return Recorder(str(profiler), 1, folder)


def test_refusal_of_the_profiler_is_passed_on(tmp_path: Path) -> None:
    refusing = make_profiler(tmp_path, "echo 'Error: Permission Denied' >&2; exit 1")
    with pytest.raises(CliError, match="could not record: Error: Permission Denied"):
        refusing.record(1, tmp_path / "cached.txt", "raw", "cached")


def test_flame_graph_has_the_requests_as_its_title(tmp_path: Path) -> None:
    """And no path of the machine."""
    graph = tmp_path / "cached.svg"
    recorder = make_profiler(tmp_path, f'echo "<text>$0 $*</text>" > {graph}')
    recorder.record(1, graph, "flamegraph", "cached, <limits>")
    assert graph.read_text() == "<text>cached, &lt;limits&gt;</text>\n"
