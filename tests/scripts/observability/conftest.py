"""A small installation in sync, on which runbooks are followed."""

from collections.abc import AsyncIterator

import pytest

from core.configuration.settings import Settings
from indexer.backends import Backends, open_backends
from indexer.rebuild.reindex import reindex
from tests.conftest import drop_indices
from tests.support.factories import CatalogueFactory
from tests.support.sync import drain, ignore_progress


@pytest.fixture
async def backends(settings: Settings, catalogue: CatalogueFactory) -> AsyncIterator[Backends]:
    """Backends of an index with one departure, in sync with Postgres."""
    await catalogue.occurrence()
    await drop_indices(settings)
    await reindex(settings, ignore_progress)
    async with open_backends(settings) as backends:
        await drain(backends)
        yield backends
