"""Queries of the synchronisation tables for administrators, on the primary, which alone has the advisory locks."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, delete, func, insert, select, text
from sqlalchemy.orm import InstrumentedAttribute

from app.backends.database import WriteSession
from app.repositories.valid_rows import fetch_mappings, fetch_scalars, valid_items
from indexer.index import locks
from indexer.index.outbox import BACKLOG
from schemas.api.admin import DeadLetter as DeadLetterItem
from schemas.api.admin import DeadLetterCounts, DeadLettersQuery, OutboxBacklog, Queue, WriteTarget
from schemas.api.envelopes import PageRows
from schemas.tables import DeadEvent, DeadLetter, IndexTarget, OutboxRow, TripOccurrence

DEAD_LETTER_QUERIES: dict[Queue, Select[Any]] = {
    "index": select(
        DeadLetter.id,
        DeadLetter.error.label("reason"),
        func.jsonb_build_object("kind", DeadLetter.kind, "row_id", DeadLetter.row_id).label("body"),
        DeadLetter.died_at.label("created_at"),
    ),
    "events": select(DeadEvent.id, DeadEvent.reason, DeadEvent.body, DeadEvent.created_at),
}

DEAD_LETTER_IDS: dict[Queue, InstrumentedAttribute[int]] = {"index": DeadLetter.id, "events": DeadEvent.id}


async def is_rebuilding(session: WriteSession) -> bool:
    """Return whether any process is running a reindex or a rollback."""
    return await locks.is_rebuilding(await session.connection())


async def count_departures(session: WriteSession) -> int:
    return await session.scalar(select(func.count()).select_from(TripOccurrence)) or 0


async def list_write_targets(session: WriteSession) -> list[WriteTarget]:
    registered = select(IndexTarget).order_by(IndexTarget.created_at)
    return await valid_items(WriteTarget, await fetch_scalars(session, registered, IndexTarget.name))


async def get_outbox_backlog(session: WriteSession) -> OutboxBacklog:
    row = (await session.execute(BACKLOG)).one()
    return OutboxBacklog(rows=row.rows, oldest_seconds=row.oldest, attempts=row.attempts)


async def count_dead_letters(session: WriteSession) -> DeadLetterCounts:
    counts = [
        select(func.count()).select_from(table).scalar_subquery().label(name)
        for name, table in (("index", DeadLetter), ("events", DeadEvent))
    ]
    return DeadLetterCounts.model_validate((await session.execute(select(*counts))).one())


async def find_dead_letters(session: WriteSession, query: DeadLettersQuery) -> PageRows[DeadLetterItem]:
    """Return a page of dead letters, the latest first."""
    chosen = DEAD_LETTER_QUERIES[query.queue]
    page = chosen.order_by(text("id DESC")).offset(query.offset)
    rows = await fetch_mappings(session, page, DEAD_LETTER_IDS[query.queue], limit=query.limit)
    items = await valid_items(DeadLetterItem, rows)
    return PageRows(items, await session.scalar(select(func.count()).select_from(chosen.subquery())) or 0)


async def retry_index_letters(session: WriteSession, ids: Sequence[int]) -> int:
    """Move dead letters back to the outbox and return how many there were."""
    revived = (
        delete(DeadLetter).where(DeadLetter.id.in_(ids)).returning(DeadLetter.kind, DeadLetter.row_id).cte("revived")
    )
    moved = insert(OutboxRow).from_select(["kind", "row_id"], select(revived)).returning(OutboxRow.id)
    return len((await session.execute(moved)).all())
