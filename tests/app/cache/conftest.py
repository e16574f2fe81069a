from collections.abc import AsyncIterator

import pytest

from core.configuration.settings import Settings
from tests.support.fault_proxy import FaultProxy


@pytest.fixture
async def proxy(settings: Settings) -> AsyncIterator[FaultProxy]:
    """Return a proxy in front of Redis."""
    async with FaultProxy(settings.redis_url) as proxy:
        yield proxy
