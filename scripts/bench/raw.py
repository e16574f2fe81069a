"""The bare search: what the service asks Elasticsearch, as bytes, for the generator to ask it directly."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from app.database import Database
from app.recommendations.trip_search import search_path
from app.repositories.catalogue import read_catalogue
from indexer import connections
from schemas.preferences import parse_preferences
from schemas.settings import Settings
from scoring.candidates import candidates
from scoring.query import search_body
from scoring.rules import rules
from scoring.search import Catalogue, Search


def raw_searches(settings: Settings, bodies: Iterable[dict[str, Any]]) -> tuple[str, Sequence[str]]:
    """URL and bodies of the primary searches."""
    catalogue = asyncio.run(_catalogue(settings))
    assert settings.today is not None
    searches = (Search(parse_preferences(body), settings.today, catalogue) for body in bodies)
    asked = [orjson.dumps(search_body(candidates(search), rules(search))).decode() for search in searches]
    return settings.elasticsearch_url + search_path(settings.elasticsearch_alias), asked


async def _catalogue(settings: Settings) -> Catalogue:
    database = Database(connections.postgres(settings.database_url))
    try:
        async with database.read() as session:
            return await read_catalogue(session)
    finally:
        await database.close()
