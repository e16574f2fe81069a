"""Fault proxies in front of Elasticsearch, Postgres and Redis."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from core.configuration.settings import Settings
from tests.support.fault_proxy import FaultProxy, Mode

DEPENDENCIES = {"elasticsearch": "elasticsearch_url", "postgres": "database_url", "redis": "redis_url"}
"""The setting that holds the address of each dependency."""


@dataclass(frozen=True)
class DependencyProxies:
    settings: Settings
    """Settings that reach every dependency through its proxy."""
    proxies: Mapping[str, FaultProxy]

    def __getitem__(self, dependency: str) -> FaultProxy:
        return self.proxies[dependency]

    async def switch_all(self, mode: Mode) -> None:
        for proxy in self.proxies.values():
            await proxy.switch(mode)

    @asynccontextmanager
    async def broken(self, dependency: str, mode: Mode) -> AsyncIterator[None]:
        await self[dependency].switch(mode)
        try:
            yield
        finally:
            await self[dependency].switch(Mode.PASS)


@asynccontextmanager
async def dependency_proxies(settings: Settings) -> AsyncIterator[DependencyProxies]:
    async with AsyncExitStack() as stack:
        proxies = {
            name: await stack.enter_async_context(FaultProxy(getattr(settings, setting)))
            for name, setting in DEPENDENCIES.items()
        }
        urls = {DEPENDENCIES[name]: proxy.url for name, proxy in proxies.items()}
        yield DependencyProxies(settings.model_copy(update=urls), proxies)
