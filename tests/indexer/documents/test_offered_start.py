"""The start of departures on offer follows every change of a row that it depends on."""

import random
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from sqlalchemy import Column, update

from indexer.backends import Backends
from schemas.document_fields import FIELDS
from schemas.enums import Status
from schemas.index_document import NOT_OFFERED
from schemas.tables import TripOccurrence
from scoring.availability import ON_OFFER
from scoring.predicates import And, Condition, Equals, In, Not, Range
from tests.scoring.reference import offered_start
from tests.support.factories import START, CatalogueFactory
from tests.support.sync import drain, execute, indexed

VALUES: Mapping[str, Sequence[Any]] = {
    "start": (START, START - timedelta(40)),
    "active": (True, False),
    "status": tuple(Status),
    "spots": (0, 1, 8),
}
"""Values of the fields that it depends on."""


async def set_value(backends: Backends, field: str, value: Any, ids: Mapping[str, int]) -> None:
    """Update the column of a field, in the row of the departure or of its template."""
    column = FIELDS[field].column
    assert isinstance(column, Column)
    row = ids["trip" if column.table is TripOccurrence.__table__ else "template"]
    async with backends.postgres.begin() as connection:
        await connection.execute(update(column.table).where(column.table.c.id == row).values({column: value}))


async def offered(backends: Backends, trip_id: int) -> Any:
    await drain(backends)
    return (await indexed(backends))[trip_id]["offered_start"]


def fields_of(condition: Condition) -> set[str]:
    if isinstance(condition, And):
        return {field for part in condition.conditions for field in fields_of(part)}
    if isinstance(condition, Not):
        return fields_of(condition.condition)
    assert isinstance(condition, Equals | In | Range)
    return {condition.field}


def test_every_field_that_it_depends_on_is_changed() -> None:
    assert VALUES.keys() == {"start", *fields_of(ON_OFFER)}


@pytest.mark.parametrize("seed", range(2))
async def test_changed_columns_change_the_offered_start(backends: Backends, ids: dict[str, int], seed: int) -> None:
    states = [dict(zip(VALUES, values, strict=True)) for values in product(*VALUES.values())]
    random.Random(seed).shuffle(states)
    before: dict[str, Any] = {}
    for state in states:
        for field in state.items() - before.items():
            await set_value(backends, *field, ids)
        expected = offered_start(**{**state, "start": state["start"].isoformat()})
        assert await offered(backends, ids["trip"]) == expected, state
        before = state


async def test_offered_start_follows_the_template_of_the_departure(
    catalogue: CatalogueFactory, backends: Backends, ids: dict[str, int]
) -> None:
    inactive = await catalogue.template(is_active=False)
    for template, expected in ((inactive, NOT_OFFERED), (ids["template"], START.isoformat())):
        move = "UPDATE trip_occurrences SET trip_template_id = :template WHERE id = :id"
        await execute(backends.postgres, move, template=template, id=ids["trip"])
        assert await offered(backends, ids["trip"]) == expected


async def test_template_that_is_withdrawn_withdraws_all_its_departures(
    catalogue: CatalogueFactory, backends: Backends, ids: dict[str, int]
) -> None:
    others = [await catalogue.occurrence(trip_template_id=ids["template"]) for _ in range(3)]
    for active, expected in ((False, NOT_OFFERED), (True, START.isoformat())):
        await set_value(backends, "active", active, ids)
        assert {await offered(backends, trip_id) for trip_id in (ids["trip"], *others)} == {expected}
        assert await offered(backends, ids["other"]) == START.isoformat()
