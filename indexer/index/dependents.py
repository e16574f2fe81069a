"""Find the departures whose documents contain data of a changed row of another table."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, select, true

from core.postgres.sql import in_array
from schemas.invalidation_message import ALL_KINDS, DEPARTURE, EVERYTHING
from schemas.tables import TripOccurrence, TripTemplate, TripTemplateTag

TEMPLATE_COLUMNS = {
    "template": TripTemplate.id,
    "company": TripTemplate.company_id,
    "country": TripTemplate.primary_country_id,
    "type": TripTemplate.trip_type_id,
}

RELATED_KINDS = ALL_KINDS - {DEPARTURE} | {EVERYTHING}
"""Kinds of rows, other than departures, that documents depend on."""


def depends_on(kind: str, row_ids: Collection[int | None]) -> ColumnElement[bool]:
    """Return the condition on a departure that its document contains data of one of these rows.

    A row id of None stands for every row of the kind.
    """
    if None in row_ids:
        return true()
    if kind == "guide":
        return in_array(TripOccurrence.guide_id, row_ids)
    if kind == "tag":
        templates = select(TripTemplateTag.trip_template_id).where(in_array(TripTemplateTag.tag_id, row_ids))
    else:
        templates = select(TripTemplate.id).where(in_array(TEMPLATE_COLUMNS[kind], row_ids))
    return TripOccurrence.trip_template_id.in_(templates)
