"""docs/reference lists every metric, error code and command; documents name only endpoints that exist."""

import importlib
import pkgutil
import re
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client import REGISTRY
from typer.main import get_command

import app
import core
import indexer
import tracking
from app.endpoints.openapi import PATH_PARAMETER
from app.routes import ENDPOINTS
from schemas.api.errors import ErrorCode
from scripts.cli import app as cli
from scripts.commands.completion import SHELLS
from scripts.errors import ExitCode
from tests.docs.documents import DOCUMENTS, QUOTED, table, text

SUFFIXES = {"counter": "_total", "gauge": "", "histogram": "", "summary": ""}
"""The suffix that Prometheus adds to a metric's name, by type."""


def metrics() -> dict[str, str]:
    """Return the type of every metric that the code defines, by name."""
    for package in (app, core, indexer, tracking):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    found = [family for family in REGISTRY.collect() if family.name.startswith("smarttrip_")]
    return {family.name + SUFFIXES[family.type]: family.type for family in found}


def documented_metrics() -> dict[str, str]:
    rows = [row for heading in ("## API", "## Worker") for row in table("docs/reference/metrics.md", heading)]
    return {name.strip("`"): kind for name, kind, _ in rows}


def test_table_lists_exactly_the_metrics() -> None:
    assert documented_metrics() == metrics()


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_named_metrics_exist(document: Path) -> None:
    named = set(re.findall(r"smarttrip_(?!test|cli)[a-z_]{4,}", text(document)))
    assert named <= metrics().keys()


def test_table_lists_exactly_the_error_codes() -> None:
    rows = table("docs/reference/errors.md", "## Codes")
    codes = [code for row in rows for code in QUOTED.findall(row[0])]
    assert sorted(codes) == sorted(get_args(ErrorCode))


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_named_endpoints_exist(document: Path) -> None:
    known = {PATH_PARAMETER.sub(r"{\g<name>}", endpoint.path) for endpoint in ENDPOINTS}
    named = re.findall(r"`(?:(?:GET|POST) )?(/(?:api|livez|readyz|metrics|docs|openapi)[\w/.{}-]*)`", text(document))
    assert set(named) <= known


def commands() -> set[str]:
    found = get_command(cli).commands  # type: ignore[attr-defined]
    inner = {f"{name} {sub}" for name, command in found.items() for sub in getattr(command, "commands", {})}
    return {name for name, command in found.items() if getattr(command, "invoke_without_command", True)} | inner


def test_table_lists_exactly_the_commands() -> None:
    listed: set[str] = set()
    for names, _ in table("docs/reference/commands.md", "## Table"):
        group = ""
        for name in QUOTED.findall(names):
            # `stack up`, `down`: the group is named once.
            first, _, rest = name.partition(" ")
            group = first if rest else group
            listed.add(name if rest or not group else f"{group} {name}")
    assert listed == commands()


def test_table_lists_exactly_the_exit_codes() -> None:
    rows = table("docs/reference/commands.md", "## Exit codes")
    assert [(int(code), meaning) for code, meaning in rows] == [(code, code.meaning) for code in ExitCode]


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_named_commands_exist(document: Path) -> None:
    groups = {name.partition(" ")[0] for name in commands()}
    named = re.findall(r"(?:^    |`)smarttrip ([a-z]+)(?: ([a-z][a-z-]*))?", text(document), re.MULTILINE)
    for group, command in named:
        assert group in groups
        assert not command or f"{group} {command}" in commands() or (group == "completion" and command in SHELLS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_named_make_targets_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    named = re.findall(r"(?:^    |`)make ([a-z-]+)", text(document), re.MULTILINE)
    assert set(named) <= targets
