"""All commands of `smarttrip`, and values of what they require, for tests that range over them."""

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from scripts.cli import app

VALUES = {
    "email": "someone@example.org",
    "into": "postgresql://nobody@127.0.0.1:1/other",
    "shell": "bash",
    "name": "summer",
    "file": __file__,
    "reference": "summer@1",
    "weights": "summer@1",
    "against": "platform",
    "to": "summer@1",
}
"""Right values of what commands require."""


def commands() -> Iterator[tuple[list[str], Any]]:
    """Yield every command that does something, with its words."""

    def walk(words: list[str], command: Any) -> Iterator[tuple[list[str], Any]]:
        inner = getattr(command, "commands", {})
        if not inner or command.invoke_without_command:
            yield words, command
        for name, child in inner.items():
            yield from walk([*words, name], child)

    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        yield from walk([name], command)


COMMANDS = list(commands())
WORDS = [words for words, _ in COMMANDS]


def required(command: Any, without: Any = None) -> list[str]:
    """Return values for all that the command requires, except for one parameter."""
    needed = [item for item in command.params if item.required and item is not without]
    return [f"{item.opts[0]}={value(item)}" if hasattr(item, "is_flag") else value(item) for item in needed]


def value(parameter: Any) -> str:
    return VALUES[parameter.name]


def label(value: object) -> str:
    return " ".join(value) if isinstance(value, list) else str(getattr(value, "name", value))
