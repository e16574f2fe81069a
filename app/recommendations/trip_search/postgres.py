"""Trip search in Postgres: the fallback while Elasticsearch is unavailable. Same rules, bounded work."""

import asyncio
from collections.abc import Sequence
from functools import partial

from app.backends.database import Database
from app.recommendations.trip_search.interface import SearchHits
from app.recommendations.trip_search.postgres_ranking import count_query, ranking_query
from core.concurrency.time_limit import time_limit
from core.errors import OverloadedError
from core.postgres.driver_connection import NOT_KEPT
from indexer.documents.builder import build_documents
from schemas.index_document import decode_document
from scoring.predicates import Condition
from scoring.rules import RuleGroup

NO_COMPILED_CACHE = {"compiled_cache": None}
"""Nearly every search is a statement of its own, and a compiled statement takes 400 kB."""


class PostgresTripSearch:
    def __init__(
        self, database: Database, *, max_candidates: int, max_concurrent: int = 2, queue_timeout: float = 0.25
    ) -> None:
        """Bound the load of a fallback, which may hit all searches at the same moment.

        Of more than `max_candidates` candidates only the first to depart are ranked. Searches beyond `max_concurrent`
        wait, but no longer than `queue_timeout` seconds: waiting searches count as requests in flight, and would take
        the capacity of requests that need no search.
        """
        self._database = database
        self._max_candidates = max_candidates
        self._slots = asyncio.Semaphore(max_concurrent)
        self._queue_timeout = queue_timeout

    async def find(self, condition: Condition, rules: Sequence[RuleGroup], size: int) -> SearchHits:
        """Return the `size` best departures for which the condition holds.

        Raises: BackendUnavailableError, OverloadedError.
        """
        try:
            async with time_limit(self._queue_timeout):
                await self._slots.acquire()
        except TimeoutError:
            raise OverloadedError() from None
        try:
            return await self._find(condition, rules, size)
        finally:
            self._slots.release()

    async def count(self, condition: Condition) -> int:
        """Return the number of departures for which the condition holds. Raises: BackendUnavailableError."""
        async with self._database.read() as session:
            return await session.scalar(count_query(condition)) or 0

    async def _find(self, condition: Condition, rules: Sequence[RuleGroup], size: int) -> SearchHits:
        async with self._database.read() as session:
            statement = ranking_query(condition, rules, size, self._max_candidates).prefix_with(NOT_KEPT)
            rows = (await session.execute(statement, execution_options=NO_COMPILED_CACHE)).all()
            # An id that cannot be read is NULL.
            ids = [row.id for row in rows if row.id is not None]
            documents = (await session.run(partial(build_documents, ids=ids))).documents
            total = rows[0].total if rows else 0
            return SearchHits(total, [decode_document(documents[trip_id]) for trip_id in ids if trip_id in documents])
