"""The split system: processes of one role each, behind the gateway."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.roles import Role
from core.configuration.settings import Settings
from scripts.dev_stack.split import PROCESSES
from tests.app.conftest import ADMIN_KEY, fill
from tests.support.api.serve_process import serve_process
from tests.support.gateway import Gateway, running_gateway
from tests.support.processes import RunningProcess

ORIGIN = "http://localhost:3000"

UNLIMITED = (("rate=100r/s", "rate=9999r/s"), ("burst=200", "burst=9999"))
"""What replaces the gateway's limits where a test sends more."""


@dataclass(frozen=True)
class SplitSystem:
    gateway: Gateway
    processes: dict[Role, list[RunningProcess]]


@asynccontextmanager
async def split_system(settings: Settings, *replaced: tuple[str, str], **variables: str) -> AsyncIterator[SplitSystem]:
    """Run the processes with these environment variables, and the gateway with replaced texts before them."""
    async with AsyncExitStack() as stack:
        processes: dict[Role, list[RunningProcess]] = {}
        for role, number in PROCESSES.items():
            processes[role] = [
                await stack.enter_async_context(
                    serve_process(
                        settings, port=None, ROLES=role, TRUSTED_PROXIES="127.0.0.1", ADMIN_KEY=ADMIN_KEY, **variables
                    )
                )
                for _ in range(number)
            ]
        upstreams = {role: tuple(process.port for process in of_role) for role, of_role in processes.items()}
        gateway = await stack.enter_async_context(running_gateway(upstreams, *replaced))
        yield SplitSystem(gateway, processes)


@pytest.fixture(scope="module")
async def trips(settings: Settings, engine: AsyncEngine, redis: Redis) -> None:
    """A few trips in the database and in the index, and nothing in Redis."""
    await fill(settings, engine, redis)


@pytest.fixture(scope="module")
async def split(settings: Settings, trips: None) -> AsyncIterator[SplitSystem]:
    async with split_system(settings, *UNLIMITED) as system:
        yield system
