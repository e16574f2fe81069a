"""Fuzzing of the HTTP parser: mutated requests and random bytes on the socket.

`BYTE_FUZZ_SEED` repeats the inputs of a run; each run logs its seed. `BYTE_FUZZ_SECONDS` makes the slow run that long.
"""

import asyncio
import json
import logging
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.configuration.settings import Settings
from scripts.dev_stack.ports import free_port
from tests.security.byte_fuzz import FuzzResult
from tests.security.conftest import BODY_SECONDS
from tests.security.probing import ProbeTimes, percentile, probing
from tests.support.processes import SMARTTRIP, RunningProcess, environment, running_process

log = logging.getLogger(__name__)

FEW = 2000
WARM_UP = 5000
MANY = 200_000
GROWTH_KB = 20_000
PROBE_SECONDS = 0.05
MOST_INPUTS = 10**9
SECONDS = int(os.environ.get("BYTE_FUZZ_SECONDS", "0"))
MINUTES = 10
"""How long the slow run may take on a machine that runs other tests too."""


@dataclass(frozen=True)
class Target:
    process: RunningProcess
    log: Path

    @property
    def resident_kb(self) -> int:
        status = Path(f"/proc/{self.process.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])  # type: ignore[index]

    def errors(self) -> list[str]:
        """Return the lines of its log that report an error."""
        return [line for line in self.log.read_text().splitlines() if '"level":"error"' in line.replace(" ", "")]


@pytest.fixture(scope="module")
async def target(settings: Settings, trip: int, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    output = tmp_path_factory.mktemp("fuzz") / "log"
    port, env = free_port(), environment(settings, BODY_SECONDS=str(BODY_SECONDS))
    command = (SMARTTRIP, "serve", "--port", str(port))
    async with running_process(command, env, port=port, output=output) as serving:
        await serving.wait_until_responding()
        yield Target(serving, output)


async def fuzz(target: Target, count: int, seconds: int = MINUTES * 60) -> FuzzResult:
    seed = int(os.environ.get("BYTE_FUZZ_SEED", time.time_ns() % 10**9))
    log.info("BYTE_FUZZ_SEED=%d", seed)
    arguments = map(str, (target.process.port, seed, count, seconds))
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.security.byte_fuzz", *arguments, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await client.communicate()
    result = FuzzResult(**json.loads(output))
    log.info("%s, %.0f inputs/s", result, result.inputs / result.seconds)
    assert result.failures == []
    assert target.process.process.returncode is None
    assert target.errors() == []
    return result


async def test_bytes_get_no_more_responses_than_requests(target: Target) -> None:
    result = await fuzz(target, FEW)
    assert {"200", "400", "404", "505"} <= set(result.statuses)


@pytest.mark.slow
@pytest.mark.timeout(MINUTES * 60 + SECONDS)
async def test_no_bytes_crash_the_server_or_get_more_responses(target: Target) -> None:
    await fuzz(target, WARM_UP)
    before = target.resident_kb
    async with probing(target.process.url) as times:
        if SECONDS:
            await fuzz(target, MOST_INPUTS, SECONDS)
        else:
            await fuzz(target, MANY)
    growth = target.resident_kb - before
    log.info("grown by %d kB; probes: %s", growth, times.summary())
    assert growth < GROWTH_KB
    assert_on_time(times)


def assert_on_time(times: ProbeTimes) -> None:
    on_time = times.on_time()
    if not on_time:
        pytest.skip(f"The machine was late all the time: {times.summary()}.")
    log.info("p99 of %d probes while the machine was on time: %.1f ms", len(on_time), 1000 * percentile(on_time, 0.99))
    assert percentile(on_time, 0.99) < PROBE_SECONDS, times.summary()
