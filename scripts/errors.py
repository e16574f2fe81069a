"""Expected failures of commands: one sentence for the terminal and an exit code."""

from enum import IntEnum


class ExitCode(IntEnum):
    FAILED = 1
    USAGE = 2
    NOT_RUNNING = 3
    BUSY = 4


class CliError(Exception):
    """An expected failure; `str()` is the sentence to print."""

    def __init__(self, sentence: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(sentence)
        self.code = code


def port_taken(port: int) -> CliError:
    return CliError(f"Port {port} is taken; choose another one with PORT.", ExitCode.BUSY)
