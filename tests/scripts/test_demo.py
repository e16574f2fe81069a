import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import psutil
import pytest

from scripts.dev_stack.elasticsearch.class_cache import WAITING
from scripts.dev_stack.elasticsearch.command import class_cache
from scripts.dev_stack.elasticsearch.install import home
from scripts.dev_stack.ports import free_port
from scripts.dev_stack.wait import until
from scripts.errors import ExitCode
from scripts.walkthrough.catalogue_age import RECORD
from tests.support.command import ELSEWHERE, SMARTTRIP, environment

MOST_FIRST_MS = 150
MORE_ATTEMPTS = 4
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def cache() -> Iterator[Path]:
    """An empty user cache, except for the Elasticsearch home."""
    with tempfile.TemporaryDirectory(prefix="smarttrip-cache-") as name:
        cache = Path(name)
        cache.chmod(0o755)
        (cache / "smarttrip").mkdir()
        (cache / "smarttrip" / home().name).symlink_to(home())
        yield cache


@contextmanager
def demo(cache: Path, *options: str, port: int | None = None) -> Iterator[subprocess.Popen[str]]:
    env = environment(XDG_CACHE_HOME=str(cache), PORT=str(port or free_port()))
    command = [SMARTTRIP, "demo", *options]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=env, cwd=ELSEWHERE, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def untrained() -> Iterator[Path]:
    """A user cache whose Elasticsearch home has no class cache yet."""
    with tempfile.TemporaryDirectory(prefix="smarttrip-cache-") as name:
        cache = Path(name)
        cache.chmod(0o755)
        without = shutil.ignore_patterns(class_cache(home()).name)
        shutil.copytree(home(), cache / "smarttrip" / home().name, copy_function=os.symlink, ignore=without)
        yield cache


def started_with(cache: Path) -> list[list[str]]:
    """Return the command lines of all processes that inherited the demo's environment."""
    found = psutil.process_iter(["cmdline", "environ"])
    return [p.info["cmdline"] for p in found if (p.info["environ"] or {}).get("XDG_CACHE_HOME") == str(cache)]


def demo_once(cache: Path) -> tuple[str, int]:
    """Run the demo; return its output, and the milliseconds of the slowest search that was made for the first time."""
    with demo(cache, "--once") as process:
        output, error = process.communicate()
    assert process.returncode == 0, error
    return output, max(map(int, re.findall(r"First time (\d+) ms", output)))


def test_demo_once_shows_searches_and_a_change_and_cleans_up(cache: Path) -> None:
    output, first_ms = demo_once(cache)
    assert output.count("Score") == 3
    assert "Theme Match [+" in output
    assert "Base [+30]" in output
    assert "as agreed" in output
    assert "Relaxed: " in output
    assert "http://" not in output
    assert "Expanded Result [-15]" in output
    assert "later it is gone from the results" in output
    assert "later it is back at the top of the results" in output
    assert started_with(cache) == []
    # A busy machine may be late, but not each time.
    assert first_ms < MOST_FIRST_MS or any(demo_once(cache)[1] < MOST_FIRST_MS for _ in range(MORE_ATTEMPTS))


def test_second_demo_is_rejected_and_ctrl_c_ends_the_first(cache: Path) -> None:
    if not (cache / "smarttrip" / "demo" / RECORD).exists():
        demo_once(cache)
    port = free_port()
    with demo(cache, port=port) as first:
        assert first.stdout is not None
        shown: list[str] = []
        for line in first.stdout:
            shown.append(line)
            if "Ctrl-C ends everything" in line:
                break
        assert "There are departures already" in "".join(shown)
        assert len(started_with(cache)) > 5

        # On the same port, as who starts it twice does.
        with demo(cache, port=port) as second:
            _, error = second.communicate()
        assert (second.returncode, error) == (4, "A demo is running already; Ctrl-C where it was started ends it.\n")
        assert first.poll() is None
        printed = re.findall(r"(?:use its servers|compare its index) +(.+)", "".join(shown))
        compared = subprocess.run(
            "; ".join(printed), shell=True, env=environment(), capture_output=True, text=True, check=True
        )
        assert ": 0 differ." in compared.stdout

        first.send_signal(signal.SIGINT)
        assert first.wait(60) == ExitCode.INTERRUPTED
        assert first.stderr is not None
        assert first.stderr.read() == "Interrupted; stopping what was started ...\n"
    assert started_with(cache) == []


def test_taken_port_is_named_and_nothing_keeps_running(cache: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with demo(cache, port=port) as process:
            _, error = process.communicate()
    assert (process.returncode, error) == (7, f"Port {port} is taken; choose another one with PORT.\n")
    assert started_with(cache) == []


def test_first_demo_records_the_class_cache(untrained: Path) -> None:
    with demo(untrained, "--once") as process:
        _, error = process.communicate()
    assert process.returncode == 0, error
    assert WAITING in error
    assert class_cache(untrained / "smarttrip" / home().name).stat().st_size > 10**6
    assert started_with(untrained) == []


@pytest.mark.parametrize("seconds", [0, 2, 5, 10])
def test_ctrl_c_while_the_class_cache_is_recorded_leaves_no_process(untrained: Path, seconds: float) -> None:
    with demo(untrained) as process:
        assert until(lambda: any("AOTCacheOutput" in part for part in chain(*started_with(untrained))), 120)
        # How far it has come does not matter, as long as the moments differ.
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=90)
    assert process.returncode == ExitCode.INTERRUPTED
    assert error.endswith("Interrupted; stopping what was started ...\n")
    assert started_with(untrained) == []


@pytest.mark.parametrize("moment", [0.5, 2, 5, 9, 14])
def test_ctrl_c_at_any_moment_leaves_one_line_and_no_process(cache: Path, moment: float) -> None:
    with demo(cache) as process:
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=90)
    assert (process.returncode, error) == (ExitCode.INTERRUPTED, "Interrupted; stopping what was started ...\n")
    assert started_with(cache) == []
