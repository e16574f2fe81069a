"""Profiles: samples belong to parts, and what keeps py-spy from recording is said in a sentence."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from scripts.benchmark.measurements import cpu_profile
from scripts.benchmark.measurements.cpu_profile import CpuProfile, Recorder, find_py_spy, summarise, table
from scripts.benchmark.measurements.profile_parts import FILES, LOOP, OTHER, read_event_loop_samples, shares_by_part
from scripts.errors import CliError
from tests.support.recipes import ROOT

RUN = "<module> (smarttrip);run (asyncio/runners.py)"


def stack(*frames: str, samples: int = 1) -> str:
    return ";".join((RUN, *frames)) + f" {samples}"


def share_of(*frames: str) -> Sequence[str]:
    return [*shares_by_part(read_event_loop_samples([stack(*frames)]))]


def test_sample_belongs_to_its_deepest_known_frame() -> None:
    assert share_of("Cycle.send (app/server/request_cycle.py)", "dumps (json/__init__.py)") == ["HTTP server"]
    assert share_of("explain (scoring/explain.py)", "In.matches_all (scoring/predicates.py)") == ["scores and reasons"]
    assert share_of() == [LOOP]


def test_shares_are_those_of_the_main_thread() -> None:
    waiting = "Thread._bootstrap (threading.py);LogWriter._write_forever (core/logs/writer.py) 900"
    lines = [stack("execute (app/backends/redis_pipeline.py)", samples=30), stack(samples=10), waiting]
    assert shares_by_part(read_event_loop_samples(lines)) == {"Redis": 0.75, LOOP: 0.25}


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
        refusing.record(1, tmp_path / "cached.txt")


def test_recording_without_the_event_loop_is_reported(tmp_path: Path) -> None:
    stacks = tmp_path / "cached.txt"
    stacks.write_text("Thread._bootstrap (threading.py) 900\n")
    with pytest.raises(CliError, match=r"no sample of the event loop \(cached\); record for longer"):
        summarise(stacks, "cached")


def test_flame_graph_is_drawn_beside_its_stacks(tmp_path: Path) -> None:
    stacks = tmp_path / "trip-page.txt"
    stacks.write_text(stack("render (app/cache/entry.py)", samples=3) + "\n" + stack(samples=1) + "\n")
    shares, graph = summarise(stacks, "trip page")
    assert shares == {"cache": 0.75, LOOP: 0.25}
    assert graph == tmp_path / "trip-page.svg"
    assert "render (app/cache/entry.py): 75.0%" in graph.read_text()
