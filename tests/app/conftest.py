from collections.abc import AsyncIterator

import httpx2
import pytest

from schemas.settings import Settings
from tests.app.serving import serving


@pytest.fixture(scope="session")
def settings(settings: Settings) -> Settings:
    """Without rate limits: tests ask more often than people."""
    return settings.model_copy(update={"rate_limit_enabled": False})


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    async with serving(settings) as client:
        yield client
