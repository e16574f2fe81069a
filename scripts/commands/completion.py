"""`smarttrip completion`: what a shell needs to complete commands and options."""

# ruff: noqa: PLC0415 -- imports inside the commands keep --help fast.

from typing import Annotated

import typer

VARIABLE = "_SMARTTRIP_COMPLETE"
"""Environment variable with which the scripts ask for completions."""
SHELLS = ("bash", "zsh", "fish")


def _shell(value: object) -> str:
    if value not in SHELLS:
        raise typer.BadParameter("should be bash, zsh or fish")
    return str(value)


def completion(
    shell: Annotated[str, typer.Argument(metavar="SHELL", parser=_shell, help="bash, zsh or fish.")],
) -> None:
    """Print a script that completes commands and options, for instance: eval "$(smarttrip completion bash)"."""
    from typer._completion_shared import get_completion_script

    typer.echo(get_completion_script(prog_name="smarttrip", complete_var=VARIABLE, shell=shell))
