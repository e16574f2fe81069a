"""Questions before what cannot be undone."""

import sys

from scripts.errors import CliError, ExitCode


def confirm(question: str, refused: str) -> None:
    """Ask the question on standard error. Raises: CliError, `refused` unless the answer is yes."""
    print(f"{question} [y/N]: ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not answer:
        raise CliError(f"{refused} There is no input to confirm with: --yes answers in advance.", ExitCode.USAGE)
    if answer.strip().lower() not in {"y", "yes"}:
        raise CliError(refused)
