import json
from pathlib import Path
from typing import Any

import pytest

from tests.interface.description import describe_interface

RECORDED = Path(__file__).with_name("interface.json")
SECTIONS = json.loads(RECORDED.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def interface(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """Return the interface of today's code, and the file that it was written to."""
    described = json.loads(json.dumps(describe_interface(), ensure_ascii=False))
    target = tmp_path_factory.mktemp("interface") / RECORDED.name
    target.write_text(json.dumps(described, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    return described, target


@pytest.mark.parametrize("section", SECTIONS)
def test_interface_is_as_recorded(interface: tuple[dict[str, Any], Path], section: str) -> None:
    described, target = interface
    assert described[section] == SECTIONS[section], (
        f"The public interface changed. If that is meant, say so in CHANGELOG.md and `cp {target} {RECORDED}`."
    )
