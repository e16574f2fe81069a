"""Every record of a process becomes one bounded line of JSON without the values of variables."""

import json
import os
import subprocess
import sys

import pytest

SECRET = "marker-secret-5d1f"
MAX_BYTES = 20_500

PRELUDE = f"""
import asyncio, logging, sys, threading, warnings
import structlog
from core.logs.configuration import configure_logs, request_id_var
configure_logs(sys.argv[1])
request_id_var.set("the-id")
log = structlog.get_logger()
def fail(depth=0):
    token = "{SECRET[:6]}" + "{SECRET[6:]}"
    values = [token] * 100_000
    if depth < 300:
        fail(depth + 1)
    raise RuntimeError("it " + "failed " * 50_000)
"""

PROVOCATIONS = {
    "event": "try: fail()\nexcept RuntimeError: log.exception('unexpected')",
    "library error": "try: fail()\nexcept RuntimeError: logging.getLogger('uvicorn.error').exception('unexpected')",
    "library warning": "logging.getLogger('some.library').warning('x' * 100_000)",
    "server line": "logging.getLogger('uvicorn.error').info('started %s', 5)",
    "wrong arguments": "logging.getLogger('some.library').warning('%d', 'x')",
    "warning": "warnings.warn('old ' * 10_000)",
    "uncaught error": "fail()",
    "error in a thread": "thread = threading.Thread(target=fail); thread.start(); thread.join()",
    "error in a task": """
async def main():
    task = asyncio.create_task(asyncio.to_thread(fail))
    await asyncio.wait([task])
asyncio.run(main())""",
    "error in a finaliser": """
class Broken:
    def __del__(self): fail()
Broken()""",
    "long value": "log.info('event', value='v ' * 100_000)",
    "many values": "log.info('event', **{f'key_{n}': 'v ' * 3_000 for n in range(100)})",
    "nested value": "log.info('event', value=[{'a': 'b' * 1_000}] * 1_000)",
    "unencodable value": r"log.info('event', value='\udc80')",
    "value that is no JSON": "log.info('event', value={1, 2})",
}


def run(code: str, level: str = "debug") -> list[str]:
    process = subprocess.run(
        [sys.executable, "-c", PRELUDE + code, level], capture_output=True, text=True, timeout=60, check=False
    )
    return process.stderr.splitlines()


@pytest.mark.parametrize("kind", PROVOCATIONS)
def test_everything_is_one_bounded_line_of_json(kind: str) -> None:
    lines = run(PROVOCATIONS[kind])
    assert lines
    for line in lines:
        event = json.loads(line)
        assert event["level"]
        assert event["timestamp"]
        assert len(line) < MAX_BYTES
        assert SECRET not in line
    assert len(lines) == 1


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_level_is_honoured(level: str) -> None:
    levels = ("debug", "info", "warning", "error")
    code = "\n".join(
        f"log.{name}('{name} own'); logging.getLogger('uvicorn.error').{name}('{name} server')" for name in levels
    )
    expected = [f"{name} {of}" for name in levels[levels.index(level) :] for of in ("own", "server")]
    assert [json.loads(line)["event"] for line in run(code, level)] == expected


def test_library_line_has_the_request_id() -> None:
    (line,) = run("logging.getLogger('uvicorn.error').error('broken')")
    assert json.loads(line)["request_id"] == "the-id"


def test_last_line_before_sigterm_is_written() -> None:
    (line,) = run("import signal\nlog.info('last')\nsignal.raise_signal(signal.SIGTERM)")
    assert json.loads(line)["event"] == "last"


def run_in_terminal(code: str) -> str:
    """Run with a terminal as standard error, and return what it shows."""
    terminal, standard_error = os.openpty()
    with open(terminal, "rb", buffering=0) as shown:  # noqa: PTH123  # a descriptor
        subprocess.run([sys.executable, "-c", PRELUDE + code, "info"], stderr=standard_error, timeout=60, check=False)
        os.close(standard_error)
        return shown.read(65_536).decode()


def test_lines_in_a_terminal_are_readable() -> None:
    shown = run_in_terminal("log.info('started', port=5000, name='a\\nb\\x1b[2J')")
    assert "started" in shown
    assert "port=5000" in shown
    assert "{" not in shown
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 1


@pytest.mark.parametrize("form", ["json", "console"])
def test_setting_decides_about_the_form_of_lines(form: str) -> None:
    (line,) = run(f"configure_logs('info', '{form}')\nlog.info('started')")
    assert line.startswith("{") is (form == "json")


def test_later_configuration_holds_for_loggers_that_have_been_used() -> None:
    silent = "configure_logs('error')\nlog.info('never')\n"
    before, after = run(f"log.info('before')\n{silent}configure_logs('info', 'console')\nlog.info('after')")
    assert "before" in before
    assert before.startswith("{")
    assert "after" in after
    assert not after.startswith("{")
