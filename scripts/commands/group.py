"""A group of commands whose help is fast."""

from typing import Any

from typer.core import TyperGroup


class FastGroup(TyperGroup):
    def get_help_option(self, ctx: Any) -> Any:
        """Return the help option with a default: without one, Typer loads pydantic for each command to convert it."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option
