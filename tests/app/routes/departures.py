"""Departures for tests of the trips' endpoints."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from tests.support.factories import CatalogueFactory

OCCURRENCES = "/api/v2/occurrences"
TEMPLATES = "/api/v2/templates"
TRIPS = "/api/v2/trip-occurrences"

DAY = timedelta(days=1)
NOBODY = (0, -1, 2**31 - 1, 2**31, 10**30)
"""Numbers that occur in no column."""


Rows = Sequence[dict[str, Any]]


async def departures(catalogue: CatalogueFactory, rows: Rows, template: int | None = None) -> list[int]:
    """Insert departures of one template and return their ids."""
    template = template or await catalogue.template()
    return [await catalogue.occurrence(trip_template_id=template, **row) for row in rows]
