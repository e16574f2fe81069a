from collections.abc import Sequence

import pytest
from sqlalchemy import insert

from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.feed.fan_out import Expansion, expand_changes
from indexer.index import bulk_writer, outbox
from indexer.index.dependents import RELATED_KINDS
from indexer.index.outbox import DIRECT, FANNED_OUT
from schemas.invalidation_message import DEPARTURE
from schemas.tables import OutboxRow
from scripts import sample_data
from tests.conftest import TODAY
from tests.indexer.index.test_bulk_writer import document
from tests.support.factories import CatalogueFactory
from tests.support.sync import drain, execute


async def put(backends: Backends, kind: str, row_id: int | None) -> None:
    """Make this the only row of the outbox."""
    await execute(backends.postgres, "TRUNCATE smarttrip.outbox")
    async with backends.postgres.begin() as connection:
        await connection.execute(insert(OutboxRow).values(kind=kind, row_id=row_id))


async def expand(backends: Backends, indices: Sequence[str] = (), limit: int = 500) -> Expansion:
    """Expand all upstream changes, as a batch does."""
    async with backends.postgres.begin() as connection:
        rows = [row for row in await outbox.claim(connection, retry=True) if row.lane != FANNED_OUT]
        expansion = await expand_changes(connection, backends.elasticsearch, indices, rows, limit)
        await outbox.remove(connection, expansion.finished)
    return expansion


async def added(backends: Backends) -> list[int]:
    async with backends.postgres.begin() as connection:
        rows = await outbox.claim(connection, retry=True)
    return sorted(row.row_id for row in rows if row.lane == FANNED_OUT and row.row_id is not None)


async def test_each_kind_expands_to_dependents(catalogue: CatalogueFactory, backends: Backends) -> None:
    company, country, trip_type = await catalogue.company(), await catalogue.country(), await catalogue.trip_type()
    tag, guide = await catalogue.tag(), await catalogue.guide()
    template = await catalogue.template(
        company_id=company, primary_country_id=country, trip_type_id=trip_type, tags=[tag]
    )
    trips = [await catalogue.occurrence(trip_template_id=template, guide_id=guide) for _ in range(2)]
    await catalogue.occurrence(guide_id=await catalogue.guide())
    causes = {
        "template": template,
        "company": company,
        "country": country,
        "type": trip_type,
        "tag": tag,
        "guide": guide,
    }
    assert causes.keys() | {"all"} == RELATED_KINDS
    for kind, row_id in causes.items():
        await put(backends, kind, row_id)
        expansion = await expand(backends)
        assert len(expansion.finished) == 1, kind
        assert await added(backends) == trips, kind


@pytest.mark.parametrize("kind", sorted(RELATED_KINDS))
async def test_unidentified_row_leads_to_every_departure(
    catalogue: CatalogueFactory, backends: Backends, kind: str
) -> None:
    trips = [await catalogue.occurrence() for _ in range(2)]
    await put(backends, kind, None)
    assert len((await expand(backends)).finished) == 1
    assert await added(backends) == trips


@pytest.mark.parametrize("kind", sorted(RELATED_KINDS - {"all"}))
async def test_wide_row_id_leads_to_no_departure(catalogue: CatalogueFactory, backends: Backends, kind: str) -> None:
    await catalogue.occurrence()
    await put(backends, kind, 2**40)
    assert len((await expand(backends)).finished) == 1
    assert await added(backends) == []


async def test_large_fan_out_resumes_at_cursor(catalogue: CatalogueFactory, backends: Backends) -> None:
    template = await catalogue.template()
    trips = [await catalogue.occurrence(trip_template_id=template) for _ in range(5)]
    await put(backends, "template", template)
    steps = [(len((await expand(backends, limit=2)).finished), await added(backends)) for _ in range(3)]
    assert steps == [(0, trips[:2]), (0, trips[:4]), (1, trips)]


async def test_changes_of_one_kind_share_a_query(catalogue: CatalogueFactory, backends: Backends) -> None:
    templates = [await catalogue.template() for _ in range(4)]
    trips = [await catalogue.occurrence(trip_template_id=template) for template in templates]
    await execute(backends.postgres, "TRUNCATE smarttrip.outbox")
    await execute(backends.postgres, "UPDATE trip_templates SET title = title || '!'")
    assert (await expand(backends, limit=3)).finished == []
    assert len((await expand(backends, limit=3)).finished) == 4
    assert await added(backends) == trips


async def test_truncate_includes_orphaned_documents(
    catalogue: CatalogueFactory, backends: Backends, index: str
) -> None:
    trips = [await catalogue.occurrence() for _ in range(2)]
    ghosts = [trips[-1] + 10, trips[-1] + 20, trips[-1] + 30]
    documents = {ghost: document(ghost) for ghost in ghosts}
    await bulk_writer.write(backends.elasticsearch, [index], 5, documents)
    await put(backends, "all", None)
    while not (await expand(backends, [index], limit=2)).finished:
        pass
    assert await added(backends) == trips + ghosts


async def test_unknown_kind_waits_and_blocks_nothing(catalogue: CatalogueFactory, backends: Backends) -> None:
    trip_id = await catalogue.occurrence()
    await put(backends, "galaxy", 1)
    await execute(backends.postgres, "UPDATE trip_templates SET title = title || '!'")
    expansion = await expand(backends)
    assert (len(expansion.failed), len(expansion.finished)) == (1, 1)
    assert await added(backends) == [trip_id]


async def test_departure_that_waits_is_not_added_again(catalogue: CatalogueFactory, backends: Backends) -> None:
    template = await catalogue.template()
    waiting, other = [await catalogue.occurrence(trip_template_id=template) for _ in range(2)]
    await put(backends, "template", template)
    async with backends.postgres.begin() as connection:
        await outbox.enqueue(connection, [waiting], lane=DIRECT)
    expansion = await expand(backends)
    assert len(expansion.finished) == 1
    assert await added(backends) == [other]


async def test_departure_that_a_batch_has_claimed_is_added_again(
    catalogue: CatalogueFactory, backends: Backends
) -> None:
    template = await catalogue.template()
    trip = await catalogue.occurrence(trip_template_id=template)
    await put(backends, "occurrence", trip)
    async with backends.postgres.begin() as connection:
        assert await outbox.claim(connection, [DIRECT], retry=True)
        # The batch may have read the departure before this change.
        await execute(backends.postgres, f"INSERT INTO smarttrip.outbox (kind, row_id) VALUES ('template', {template})")
        await expand(backends)
    assert await added(backends) == [trip]


async def test_import_indexes_each_departure_once(settings: Settings, backends: Backends, index: str) -> None:
    await sample_data.seed(settings.database_url, 300, today=TODAY)
    changes = [row for batch in await drain(backends) for row in batch.done]
    departures = [row.row_id for row in changes if row.kind == DEPARTURE]
    assert len(departures) == len(set(departures)) == 300
    assert {row.kind for row in changes} > {"company", "country", "guide", "tag", "template", "type"}
