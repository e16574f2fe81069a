"""Whether a process should be sent requests."""

from elastic_transport import TransportError
from elasticsearch import AsyncElasticsearch

from app.database import Database
from app.draining import Draining
from app.errors import ApiError, unavailable
from schemas.answers import ErrorCode


class Readiness:
    """From the first time that the index answers, as long as index or database do, until the process is told to end."""

    def __init__(self, elasticsearch: AsyncElasticsearch, alias: str, database: Database, draining: Draining) -> None:
        self._elasticsearch = elasticsearch
        self._alias = alias
        self._database = database
        self._draining = draining
        self._was_ready = False

    async def check(self) -> None:
        """Raises 503 as ApiError that says what is missing."""
        if self._draining.active:
            raise _not_ready("draining", "This process is ending.")
        try:
            await self._look_for_index()
            self._was_ready = True
        except ApiError:
            # Taking every process out because of the index would take away the fallback as well.
            if not self._was_ready:
                raise
            async with self._database.read() as session:
                await session.connection()

    async def _look_for_index(self) -> None:
        try:
            found = await self._elasticsearch.indices.exists_alias(name=self._alias)
        except TransportError:
            raise unavailable("the search index") from None
        if not found:
            raise _not_ready("no_index", "The search index has not been built yet.")


def _not_ready(code: ErrorCode, message: str) -> ApiError:
    return ApiError(503, code, message, headers={"Retry-After": "2"})
