"""docs/reference/settings.md lists every setting with its default, and nothing else."""

import re
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from core.configuration.settings import Settings
from tests.docs.documents import DOCUMENTS, QUOTED, table, text

DEFAULTS_IN_WORDS = {"database_direct_url": "DATABASE_URL", "today": "the real date"}
OTHER_VARIABLES = {"fault_seed", "fuzz_inputs", "load_seed", "postgres_password"}
"""Environment variables that tests, the load generator and docker-compose.yml read."""


def documented_defaults() -> dict[str, str]:
    """Return defaults by field. Several variables in a row have their defaults in the same order."""
    found: dict[str, str] = {}
    for variables, defaults, _ in table("docs/reference/settings.md", "## Variables"):
        names = QUOTED.findall(variables)
        values = QUOTED.findall(defaults) if len(names) > 1 else [defaults.strip("`")]
        found |= {name.lower(): value for name, value in zip(names, values, strict=True)}
    return found


def actual_default(name: str) -> str:
    default = Settings.model_fields[name].default
    if name in DEFAULTS_IN_WORDS:
        return DEFAULTS_IN_WORDS[name]
    if default is PydanticUndefined:
        return "required"
    if default in (None, [], ""):
        return "none"
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, list):
        return ",".join(map(str, default))
    return f"{default:g}" if isinstance(default, float) else str(default)


def test_table_lists_exactly_the_settings() -> None:
    assert documented_defaults().keys() == Settings.model_fields.keys()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_documented_default_is_the_actual_one(name: str) -> None:
    assert documented_defaults()[name] == actual_default(name)


@pytest.mark.parametrize("document", [path for path in DOCUMENTS if path.parent.name == "how-to"], ids=str)
def test_named_settings_exist(document: Path) -> None:
    named = {name.lower() for name in re.findall(r"`([A-Z]+_[A-Z_]+)`", text(document))}
    assert named <= Settings.model_fields.keys() | OTHER_VARIABLES
