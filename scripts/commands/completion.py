"""`smarttrip completion`: what a shell needs to complete commands, options and values."""

# ruff: noqa: PLC0415 -- imports inside the commands keep --help fast.

from typing import Annotated

import typer

from scripts.commands.options import one_of

VARIABLE = "_SMARTTRIP_COMPLETE"
"""Environment variable with which the scripts ask for completions."""
SHELLS = ("bash", "zsh", "fish")


def completion(
    shell: Annotated[str, typer.Argument(**one_of(lambda: SHELLS), metavar="SHELL", help="bash, zsh or fish.")],
) -> None:
    """Print a script that completes commands, options and values, for instance: eval "$(smarttrip completion bash)"."""
    from typer._completion_shared import get_completion_script

    typer.echo(get_completion_script(prog_name="smarttrip", complete_var=VARIABLE, shell=shell))
