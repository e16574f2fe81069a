"""Run all checks and the tests, on services of their own; `scripts/test` runs this module."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from signal import SIG_BLOCK, SIG_SETMASK, SIGINT, SIGTERM, Signals, pthread_sigmask

from scripts.dev_stack.context import running_stack
from scripts.dev_stack.temporary_data import create_data_folder
from scripts.errors import exit_with

STATIC_CHECKS = (
    ("lint", ("ruff", "check")),
    ("format", ("ruff", "format", "--check")),
    ("types", ("mypy",)),
    ("import contracts", ("lint-imports",)),
    ("dependencies", ("deptry", ".")),
)
RUN_SLOW = "--all"
"""Option that adds the tests marked slow; all other arguments go to pytest."""
SECONDS_TO_STOP = 60

IN_PARALLEL = ("-n", "3", "--dist", "loadfile")
"""One process more than a small machine has cores, as tests often wait. The fixtures of a module are made once."""

MOST_REPEATED = 10
"""Failed tests that are repeated alone: many tests wait for real servers, and a busy machine can be late for one."""
REPETITIONS = 3
LAST_FAILED = Path(".pytest_cache/v/cache/lastfailed")
TEST_SEPARATOR = "::"
REPEAT = ("--last-failed", "--last-failed-no-failures", "none", "-n", "0")


def main(arguments: Sequence[str]) -> int:
    failed = [title for title, command in STATIC_CHECKS if not _passes(title, command, os.environ)]
    if not _tests_pass(arguments):
        failed.append("tests")
    print(f"Failed: {', '.join(failed)}." if failed else "Everything passed.", flush=True)
    return 1 if failed else 0


def _tests_pass(arguments: Sequence[str]) -> bool:
    pytest_arguments = [argument for argument in arguments if argument != RUN_SLOW]
    selection = [] if RUN_SLOW in arguments else ["-m", "not slow"]
    print("== services: Postgres, Valkey and Elasticsearch with data of their own", flush=True)
    data = create_data_folder("smarttrip-test-")
    with running_stack(data, ephemeral=True, busy=f"{data} is in use.") as services:
        # Otherwise each of a hundred processes would compile the whole project for itself.
        env = os.environ | services | {"PYTHONDONTWRITEBYTECODE": ""}
        command = ("pytest", *selection, *pytest_arguments)
        if _passes("tests", (*command, *IN_PARALLEL), env, end_with=SIGINT):
            return True
        title = "failed tests, repeated alone"
        return _are_few_failed() and any(
            _passes(f"{title} ({repetition} of {REPETITIONS})", (*command, *REPEAT), env, end_with=SIGINT)
            for repetition in range(1, REPETITIONS + 1)
        )


def _are_few_failed() -> bool:
    """Return whether so few tests failed that they are repeated; what fails each time fails the checks.

    A file that could not be collected counts as too many: pytest would repeat the whole suite in its place.
    """
    failed = json.loads(LAST_FAILED.read_text()) if LAST_FAILED.exists() else {}
    for test in failed:
        print(f"Failed: {test}", flush=True)
    return 0 < len(failed) <= MOST_REPEATED and all(TEST_SEPARATOR in test for test in failed)


def _passes(title: str, command: Sequence[str], env: Mapping[str, str], *, end_with: Signals = SIGTERM) -> bool:
    print(f"== {title}: {' '.join(command)}", flush=True)
    started = time.monotonic()
    code = _run((str(Path(sys.executable).with_name(command[0])), *command[1:]), env, end_with)
    print(f"== {title}: {'ok' if code == 0 else f'failed ({code})'} in {time.monotonic() - started:.1f} s", flush=True)
    return code == 0


def _run(command: Sequence[str], env: Mapping[str, str], end_with: Signals) -> int:
    """Run a command in a session of its own: on Ctrl-C we send it one signal and wait while it cleans up.

    It starts with SIGINT blocked, which a program that is still being imported would answer with a traceback;
    tests/conftest.py unblocks it.
    """
    mask = pthread_sigmask(SIG_BLOCK, (SIGINT,))
    process = subprocess.Popen(command, env=env, start_new_session=True)
    try:
        pthread_sigmask(SIG_SETMASK, mask)
        return process.wait()
    except BaseException:
        process.send_signal(end_with)
        try:
            process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
        raise


if __name__ == "__main__":
    exit_with(main)
