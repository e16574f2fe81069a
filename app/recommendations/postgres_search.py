"""Candidates from Postgres, for when the index can't be asked: the same rules, bounded work."""

import asyncio
from collections.abc import Sequence

from app.backends.database import Database
from app.recommendations.elasticsearch_search import SearchHits
from app.recommendations.postgres_conditions import ranking_query
from core.errors import OverloadedError
from indexer.documents.builder import build_documents
from schemas.index_document import decode_document
from scoring.predicates import Condition
from scoring.rules import RuleGroup

NO_COMPILED_CACHE = {"compiled_cache": None}
"""There are as many statements as kinds of searches, and compiled each takes 400 kB."""


class PostgresTripSearch:
    def __init__(self, database: Database, *, max_candidates: int, at_once: int = 2, turn_within: float = 0.5) -> None:
        """Beyond `max_candidates` only the first to depart are looked at.

        Searches beyond `at_once` wait for their turn, as all may fall back at the same moment; so many seconds at most,
        or they would take the room of requests that need no search.
        """
        self._database = database
        self._max_candidates = max_candidates
        self._turns = asyncio.Semaphore(at_once)
        self._turn_within = turn_within

    async def find(self, condition: Condition, rules: Sequence[RuleGroup], size: int) -> SearchHits:
        try:
            async with asyncio.timeout(self._turn_within):
                await self._turns.acquire()
        except TimeoutError:
            raise OverloadedError() from None
        try:
            return await self._find(condition, rules, size)
        finally:
            self._turns.release()

    async def _find(self, condition: Condition, rules: Sequence[RuleGroup], size: int) -> SearchHits:
        async with self._database.read() as session:
            statement = ranking_query(condition, rules, size, self._max_candidates)
            rows = (await session.execute(statement, execution_options=NO_COMPILED_CACHE)).all()
            documents = (await build_documents(await session.connection(), [row.id for row in rows])).documents
            total = rows[0].total if rows else 0
            return SearchHits(total, [decode_document(documents[row.id]) for row in rows if row.id in documents])
