"""README says what is there: every setting with its default, every command."""

import json
import re

import pytest
from pydantic_core import PydanticUndefined
from typer.main import get_command

from core.settings import Settings
from schemas.api.preferences import Preferences
from scripts.cli import app
from tests.docs.documents import ROOT, table

QUOTED = re.compile(r"`([^`]+)`")
IN_WORDS = {"database_direct_url": "`DATABASE_URL`", "today": "the real date"}
"""Defaults that are not values."""


def documented() -> dict[str, str]:
    """Defaults by field, as README writes them. Several variables in a row have their defaults in the same order."""
    found: dict[str, str] = {}
    for variables, defaults, _ in table("README.md", "## Settings"):
        names = QUOTED.findall(variables)
        values = QUOTED.findall(defaults) if len(names) > 1 else [defaults.strip("`")]
        found |= {name.lower(): value for name, value in zip(names, values, strict=True)}
    return found


def shown(name: str) -> str:
    default = Settings.model_fields[name].default
    if name in IN_WORDS:
        return IN_WORDS[name].strip("`")
    if default is PydanticUndefined:
        return "required"
    if default in (None, []):
        return "none"
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, list):
        return ",".join(default)
    return f"{default:g}" if isinstance(default, float) else str(default)


def test_every_setting_is_in_the_table_and_nothing_else() -> None:
    assert documented().keys() == Settings.model_fields.keys()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_has_the_default_that_the_table_names(name: str) -> None:
    assert documented()[name] == shown(name)


def commands() -> set[str]:
    found = get_command(app).commands  # type: ignore[attr-defined]
    inner = {f"{name} {sub}" for name, command in found.items() for sub in getattr(command, "commands", {})}
    return {name for name, command in found.items() if getattr(command, "invoke_without_command", True)} | inner


def test_every_command_is_in_the_table_and_nothing_else() -> None:
    listed: set[str] = set()
    for names, _ in table("README.md", "## Commands"):
        group = ""
        for name in QUOTED.findall(names):
            # `stack up`, `down`: the group is named once.
            first, _, rest = name.partition(" ")
            group = first if rest else group
            listed.add(name if rest or not group else f"{group} {name}")
    assert listed == commands()


@pytest.mark.parametrize("script", ["setup", "demo", "test"])
def test_the_scripts_that_it_tells_people_to_run_can_be_run(script: str) -> None:
    path = ROOT / "scripts" / script
    assert path.stat().st_mode & 0o111
    assert f"./scripts/{script}" in "".join((ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md"))


def test_the_search_that_it_shows_can_be_asked_for() -> None:
    (body,) = re.findall(r"-d '({.*?})'", (ROOT / "README.md").read_text())
    asked = json.loads(body)
    assert asked.keys() <= Preferences.model_fields.keys()
    Preferences.model_validate(asked)


def test_the_example_file_names_settings_only() -> None:
    names = re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert names
    assert {name.lower() for name in names} <= Settings.model_fields.keys()
