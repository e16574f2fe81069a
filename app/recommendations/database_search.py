"""Candidates from Postgres, for when the index can't be asked: the same rules, bounded work."""

import asyncio
from collections.abc import Sequence

from app.database import Database
from app.errors import overloaded
from app.recommendations.trip_search import Found
from app.repositories.candidates import ranked
from indexer.documents import read_documents
from scoring.conditions import Condition
from scoring.rules import Rule


class DatabaseSearch:
    def __init__(self, database: Database, *, max_candidates: int, at_once: int = 2, waiting: int = 32) -> None:
        """Beyond `max_candidates` only the first to depart are looked at.

        Searches beyond `at_once` wait, those beyond `waiting` are refused: all may fall back at the same moment.
        """
        self._database = database
        self._max_candidates = max_candidates
        self._free = asyncio.Semaphore(at_once)
        self._room = at_once + waiting

    async def find(self, condition: Condition, rules: Sequence[Rule], size: int) -> Found:
        if not self._room:
            raise overloaded()
        self._room -= 1
        try:
            async with self._free:
                return await self._find(condition, rules, size)
        finally:
            self._room += 1

    async def _find(self, condition: Condition, rules: Sequence[Rule], size: int) -> Found:
        async with self._database.read() as session:
            rows = (await session.execute(ranked(condition, rules, size, self._max_candidates))).all()
            documents = (await read_documents(await session.connection(), [row.id for row in rows])).documents
            total = rows[0].total if rows else 0
            return Found(total, [documents[row.id] for row in rows if row.id in documents])
