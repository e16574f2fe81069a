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
    def __init__(self, database: Database, *, max_candidates: int, at_once: int = 2) -> None:
        """Beyond `max_candidates` only the first to depart are looked at; beyond `at_once` searches are refused."""
        self._database = database
        self._max_candidates = max_candidates
        self._free = asyncio.Semaphore(at_once)

    async def find(self, condition: Condition, rules: Sequence[Rule], size: int) -> Found:
        if self._free.locked():
            raise overloaded()
        async with self._free, self._database.read() as session:
            rows = (await session.execute(ranked(condition, rules, size, self._max_candidates))).all()
            documents = (await read_documents(await session.connection(), [row.id for row in rows])).documents
            total = rows[0].total if rows else 0
            return Found(total, [documents[row.id] for row in rows if row.id in documents])
