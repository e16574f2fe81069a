from collections.abc import AsyncIterator

import pytest

from app.backends.http_client import HttpClient
from app.recommendations.trip_search.elasticsearch import ElasticsearchTripSearch
from core.configuration.settings import Settings


@pytest.fixture
async def index(settings: Settings) -> AsyncIterator[ElasticsearchTripSearch]:
    client = HttpClient(settings.elasticsearch_url, seconds=30, connections=1)
    yield ElasticsearchTripSearch(client, settings.elasticsearch_alias)
    client.close()
