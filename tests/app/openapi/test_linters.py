"""The OpenAPI document follows the recommended rules of Redocly and Spectral."""

import json
from pathlib import Path

import pytest

from tests.app.openapi.conftest import run


@pytest.mark.timeout(600)
def test_redocly_finds_nothing(node: Path, document: Path) -> None:
    redocly = node / "node_modules" / ".bin" / "redocly"
    options = ("--extends", "recommended", "--format", "json")
    found = json.loads(run_json(redocly, "lint", document, *options, cwd=document.parent))
    assert [(p["ruleId"], p["message"], p["location"][0]["pointer"]) for p in found["problems"]] == []


@pytest.mark.timeout(600)
def test_spectral_finds_nothing(node: Path, document: Path) -> None:
    (document.parent / ".spectral.yaml").write_text('extends: ["spectral:oas"]\n')
    spectral = node / "node_modules" / ".bin" / "spectral"
    found = run(spectral, "lint", document, "--fail-severity", "hint", cwd=document.parent)
    assert "No results" in found


@pytest.mark.timeout(600)
def test_linters_find_what_is_wrong(node: Path, document: Path) -> None:
    described = json.loads(document.read_bytes())
    del described["servers"]
    document.write_text(json.dumps(described))
    with pytest.raises(AssertionError):
        test_redocly_finds_nothing(node, document)
    with pytest.raises(AssertionError):
        test_spectral_finds_nothing(node, document)


def run_json(*command: str | Path, cwd: Path) -> str:
    """Return the JSON that a command prints between other lines."""
    output = run(*command, cwd=cwd)
    return output[output.index("{") : output.rindex("}") + 1]
