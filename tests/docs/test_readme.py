"""The scripts and example requests that README and the tutorial show work."""

import json
import re

import pytest

from core.configuration.settings import Settings
from schemas.api.preferences import Preferences
from tests.docs.documents import ROOT, text


@pytest.mark.parametrize("script", ["setup", "demo", "test"])
def test_named_script_is_executable(script: str) -> None:
    path = ROOT / "scripts" / script
    assert path.stat().st_mode & 0o111
    assert f"./scripts/{script}" in text("README.md") + text("CONTRIBUTING.md")


@pytest.mark.parametrize("document", ["README.md", "docs/tutorials/first-steps.md"])
def test_example_searches_are_valid(document: str) -> None:
    bodies = re.findall(r"api/v2/recommendations .*\\\n +-d '({.*?})'", text(document))
    assert bodies
    for body in bodies:
        preferences = json.loads(body)
        assert preferences.keys() <= Preferences.model_fields.keys()
        Preferences.model_validate(preferences)


def test_example_environment_names_settings_only() -> None:
    names = re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert names
    assert {name.lower() for name in names} <= Settings.model_fields.keys()
