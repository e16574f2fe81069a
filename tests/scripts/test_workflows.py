"""The workflows for GitHub: valid, safe by zizmor's audits, and about files that exist."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.release_notes import notes
from tests.docs.documents import ROOT

FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS: dict[str, dict[str, Any]] = {path.stem: yaml.safe_load(path.read_text()) for path in FOLDER.iterdir()}
PROGRAMS = Path(sys.executable).parent
PINNED = re.compile(r"^uses: ([\w-]+/[\w-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)$")


def check(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def steps() -> Iterator[dict[str, Any]]:
    for workflow in WORKFLOWS.values():
        for job in workflow["jobs"].values():
            yield from job["steps"]


def test_workflows_follow_the_schema() -> None:
    check(PROGRAMS / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *FOLDER.iterdir())


def test_zizmor_finds_nothing() -> None:
    check(PROGRAMS / "zizmor", "--offline", "--quiet", FOLDER)


def test_zizmor_finds_an_action_that_is_not_pinned(tmp_path: Path) -> None:
    workflow = tmp_path / ".github" / "workflows" / "test.yml"
    workflow.parent.mkdir(parents=True)
    workflow.write_text(re.sub(r"@[0-9a-f]{40} # v[\d.]+", "@v4", (FOLDER / "test.yml").read_text()))
    with pytest.raises(AssertionError, match="unpinned-uses"):
        check(PROGRAMS / "zizmor", "--offline", workflow)


def test_an_action_has_the_same_version_everywhere() -> None:
    lines = [line.strip(" -") for path in FOLDER.iterdir() for line in path.read_text().splitlines() if "uses:" in line]
    found = {match.groups() for line in lines if (match := PINNED.match(line))}
    assert all(PINNED.match(line) for line in lines)
    assert len({action for action, *_ in found}) == len(found)


def test_tests_run_on_every_supported_python_and_postgres() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    jobs = WORKFLOWS["test"]["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert project["requires-python"] == ">=3.11"
    assert jobs["postgres"]["strategy"]["matrix"]["postgres"] == ["15", "16", "17", "18"]


def test_steps_name_files_that_exist() -> None:
    commands = " ".join(step.get("run", "") for step in steps())
    named = set(re.findall(r"(?<![\w/.])(?:\./)?((?:\.ci|scripts|tests)/[\w./]+)", commands))
    assert len(named) > 8
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_job_ends_in_time_with_no_more_rights_than_it_needs() -> None:
    for workflow in WORKFLOWS.values():
        assert workflow["permissions"] in ({}, {"contents": "read"})
        assert all(job["timeout-minutes"] <= 90 for job in workflow["jobs"].values())


def test_tests_run_without_a_right_to_write() -> None:
    for workflow in WORKFLOWS.values():
        for job in workflow["jobs"].values():
            if any(re.search(r"\.ci/run|pytest|scripts/test", step.get("run", "")) for step in job["steps"]):
                granted = job.get("permissions", workflow["permissions"])
                assert set(granted.values()) <= {"read"}


def test_nothing_ends_the_weekly_run() -> None:
    concurrency = WORKFLOWS["test"]["concurrency"]
    assert "github.event_name" in concurrency["group"]
    assert concurrency["cancel-in-progress"] == "${{ github.event_name != 'schedule' }}"


@pytest.mark.parametrize("profile", ["sample", "split"])
def test_smoke_test_runs_against_each_system(profile: str) -> None:
    jobs = [[step.get("run", "") for step in job["steps"]] for job in WORKFLOWS["test"]["jobs"].values()]
    (commands,) = [steps for steps in jobs if any(f"--profile {profile} " in step and " up " in step for step in steps)]
    assert any(step.startswith("scripts/smoke ") for step in commands)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "2.1.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(
        "## [Unreleased]\n\n- Later.\n\n## [2.1.0] - 2026-12-01\n\n- New.\n\n## [2.0.0] - 2026-11-01\n\n- Old.\n"
    )
    return tmp_path


def test_release_notes_are_the_section_of_the_version(project: Path) -> None:
    assert notes("2.1.0", project) == "- New."


def test_release_of_another_version_is_refused(project: Path) -> None:
    with pytest.raises(SystemExit, match=r"has version 2\.1\.0; it should be 2\.0\.0"):
        notes("2.0.0", project)


def test_release_without_a_section_is_refused(project: Path) -> None:
    (project / "CHANGELOG.md").write_text("## [Unreleased]\n\n- New.\n")
    with pytest.raises(SystemExit, match="no section"):
        notes("2.1.0", project)
