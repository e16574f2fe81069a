"""Expected failures of commands: one sentence for the terminal and an exit code."""

import sys
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import NoReturn

from scripts.interrupts import announced_interrupts


class ExitCode(IntEnum):
    """How a command has ended; each kind of end has a code of its own."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> "ExitCode":
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    DONE = 0, "done"
    FAILED = 1, "failed"
    USAGE = 2, "wrong usage: command, option or argument"
    NOT_RUNNING = 3, "a service does not respond"
    BUSY = 4, "already running"
    DIFFERS = 5, "differences found"
    SETTING = 6, "a setting is missing or wrong"
    PORT = 7, "the port is taken, or not ours to listen on"
    NOTHING_STORED = 8, "nothing is stored about the person"
    NO_SUCH_SET = 9, "there is no such weight set"
    UNANSWERED = 10, "a side of a replay left a search unanswered"
    SLOWER = 11, "a side of a replay is slower than allowed"
    INTERRUPTED = 130, "interrupted by Ctrl-C"


class CliError(Exception):
    """An expected failure; `str()` is the sentence to print."""

    def __init__(self, sentence: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(sentence)
        self.code = code


def exit_with(main: Callable[[Sequence[str]], int]) -> NoReturn:
    """Call `main` with the arguments of the command line, and exit with the code that it returns or its error has."""
    try:
        with announced_interrupts():
            sys.exit(main(sys.argv[1:]))
    except CliError as error:
        print(error, file=sys.stderr)
        sys.exit(error.code)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
