"""Ctrl-C while a command waits for a server that accepts connections and sends nothing."""

import os
import signal
import subprocess
from asyncio import StreamReader, StreamWriter, start_server
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from scripts.errors import ExitCode
from tests.scripts.commands_under_test import COMMANDS, label, required
from tests.support.command import SMARTTRIP, environment
from tests.support.eventually import eventually

pytestmark = pytest.mark.slow

# The first three reach no server of the settings, and the next two read files before they do.
UNTOUCHED = {"completion", "size", "top", "replay", "weights add", "bench", "demo", "drill", "stack"}
WAITING = [item for item in COMMANDS if UNTOUCHED.isdisjoint({item[0][0], " ".join(item[0])})]
CONFIRMED = {"user erase", "staging drop"}

Waiting = tuple[int, Callable[[], bool]]


@pytest.fixture
async def silent_server() -> AsyncIterator[Waiting]:
    """Yield the port of a server that sends nothing, and whether a connection was made to it."""
    connections: list[StreamWriter] = []

    def accept(reader: StreamReader, writer: StreamWriter) -> None:
        connections.append(writer)

    async with await start_server(accept, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], lambda: bool(connections)
        for writer in connections:
            writer.close()


@pytest.mark.parametrize(("words", "command"), WAITING, ids=label)
async def test_ctrl_c_is_one_line_and_code_130(
    silent_server: Waiting, words: list[str], command: Any, unused_tcp_port: int
) -> None:
    port, is_called = silent_server
    env = environment(
        DATABASE_URL=f"postgresql://nobody@127.0.0.1:{port}/nothing",
        REDIS_URL=f"redis://127.0.0.1:{port}/0",
        ELASTICSEARCH_URL=f"http://127.0.0.1:{port}",
        PORT=str(unused_tcp_port),
    )
    confirmation = ["--yes"] if " ".join(words) in CONFIRMED else []
    line = [SMARTTRIP, *words, *required(command), *confirmation]
    with subprocess.Popen(line, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        await eventually(is_called)
        os.killpg(process.pid, signal.SIGINT)
        _, error = process.communicate()
    assert process.returncode == ExitCode.INTERRUPTED
    assert error.splitlines()[-1] == "Interrupted; stopping what was started ..."
    assert "Traceback" not in error
