"""Every command that prints a result prints it as JSON with `--json`."""

import re
from typing import Any

import pytest

from tests.docs.documents import ROOT
from tests.scripts.commands_under_test import COMMANDS, label

COMMANDS_PAGE = (ROOT / "docs/reference/commands.md").read_text()
EXCEPTIONS = re.compile(r"`--json` prints the result.*?\n\n", re.DOTALL)


def test_documented_exceptions_are_commands() -> None:
    assert without_json() <= {" ".join(words) for words, _ in COMMANDS}


@pytest.mark.parametrize(("words", "command"), COMMANDS, ids=label)
def test_command_has_the_option_unless_its_result_is_documented_otherwise(words: list[str], command: Any) -> None:
    has_option = any("--json" in parameter.opts for parameter in command.params)
    assert has_option is (" ".join(words) not in without_json())


def without_json() -> set[str]:
    """Return the commands that the reference names as exceptions."""
    found = EXCEPTIONS.search(COMMANDS_PAGE)
    assert found is not None
    return {name for name in re.findall(r"`([a-z ]+)`", found[0]) if name != "--json"}
