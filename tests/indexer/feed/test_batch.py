"""Changes made by plain SQL, as the platform's writers make them, reach the index."""

from typing import Any

import pytest

from core.configuration.settings import Settings
from indexer.backends import Backends
from schemas.tables import TripTemplateTag
from tests.support.factories import CatalogueFactory
from tests.support.sync import assert_in_sync, drain, execute, indexed, trip, waiting

Change = tuple[str, list[Any], object]

CHANGES: dict[str, Change] = {
    "departure": ("UPDATE trip_occurrences SET spots_left = 1 WHERE id = :trip", ["spotsLeft"], 1),
    "template": ("UPDATE trip_templates SET title = 'New' WHERE id = :template", ["template", "title"], "New"),
    "company": ("UPDATE companies SET name = 'New' WHERE id = :company", ["template", "company", "name"], "New"),
    "country": (
        "UPDATE countries SET continent = 'ASIA' WHERE id = :country",
        ["template", "primaryCountry", "continent"],
        "Asia",
    ),
    "type": ("UPDATE trip_types SET name = 'New' WHERE id = :type", ["template", "tripType", "name"], "New"),
    "tag": ("UPDATE tags SET name = 'New' WHERE id = :tag", ["template", "tags", 0, "name"], "New"),
    "guide": ("UPDATE guides SET name = 'New' WHERE id = :guide", ["guide", "name"], "New"),
    "deleted guide": ("DELETE FROM guides WHERE id = :guide", ["guide"], None),
    "deleted tag": ("DELETE FROM tags WHERE id = :tag", ["template", "tags"], []),
    "removed tag": (
        "DELETE FROM trip_template_tags WHERE trip_template_id = :template",
        ["template", "tags"],
        [],
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
async def test_changed_row_updates_dependent_documents(
    settings: Settings, backends: Backends, ids: dict[str, int], change: Change
) -> None:
    statement, path, value = change
    await execute(backends.postgres, statement, **{name: ids[name] for name in ids if f":{name}" in statement})
    await drain(backends)
    found = await trip(backends, ids["trip"])
    for step in path:
        found = found[step]
    assert found == value
    await assert_in_sync(settings)


async def test_new_tag_of_template_reaches_index(
    settings: Settings, catalogue: CatalogueFactory, backends: Backends, ids: dict[str, int]
) -> None:
    tag = await catalogue.tag()
    await catalogue.link(TripTemplateTag, ids["template"], [{"tag_id": tag}])
    await drain(backends)
    assert (await indexed(backends))[ids["trip"]]["themes"] == [str(ids["tag"]), str(tag)]
    await assert_in_sync(settings)


async def test_deleted_id_can_be_reused(
    settings: Settings, catalogue: CatalogueFactory, backends: Backends, ids: dict[str, int]
) -> None:
    await execute(backends.postgres, "DELETE FROM trip_occurrences WHERE id = :trip", trip=ids["trip"])
    await drain(backends)
    assert (await indexed(backends)).keys() == {ids["other"]}
    await catalogue.occurrence(id=ids["trip"])
    await drain(backends)
    assert (await indexed(backends)).keys() == {ids["trip"], ids["other"]}
    await assert_in_sync(settings)


async def test_changed_id_moves_document(settings: Settings, backends: Backends, ids: dict[str, int]) -> None:
    await execute(backends.postgres, "UPDATE trip_occurrences SET id = 9000 WHERE id = :trip", trip=ids["trip"])
    await drain(backends)
    assert (await indexed(backends)).keys() == {9000, ids["other"]}
    await assert_in_sync(settings)


async def test_truncated_table_empties_index(settings: Settings, backends: Backends, ids: dict[str, int]) -> None:
    await execute(backends.postgres, "TRUNCATE trip_occurrences CASCADE")
    await drain(backends)
    assert await indexed(backends) == {}
    await assert_in_sync(settings)


async def test_rolled_back_change_leaves_no_row(backends: Backends, ids: dict[str, int]) -> None:
    async with backends.postgres.connect() as connection:
        await connection.exec_driver_sql("UPDATE trip_occurrences SET spots_left = 0")
        await connection.rollback()
    assert await waiting(backends.postgres) == 0


async def test_batch_reports_changed_kinds(backends: Backends, ids: dict[str, int]) -> None:
    await execute(
        backends.postgres, "UPDATE companies SET name = name || '!' WHERE id = :company", company=ids["company"]
    )
    first, second = await drain(backends)
    assert {row.kind for row in first.claimed} == {"company"}
    assert {row.kind for row in second.claimed} == {"occurrence"}
