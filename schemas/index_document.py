"""The index document: one flat object per departure, and the trip as JSON. `_id` is the departure's id."""

from datetime import date
from typing import Any

import msgspec

DOCUMENT_VERSION = 2
"""Version of the document's shape, mapping and index settings; stored with each index.

Raise it when the golden document of the tests changes. Each version has an alias and indexes of its own, so that two
releases can run at the same time. `id` and `version` are read by the workers of other versions: they must stay.
"""


def versioned_alias(alias: str) -> str:
    """Return the alias of the indexes whose documents this program reads and writes."""
    return f"{alias}-v{DOCUMENT_VERSION}"


def versioned_aliases(alias: str) -> str:
    """Return the wildcard of the aliases of all document versions."""
    return f"{alias}-v*"


NOT_OFFERED = date.min.isoformat()
"""Start of the departures that are not on offer: a day on which none starts, since each has a value where an index is
sorted by a field."""


class SearchedFields(msgspec.Struct, kw_only=True):
    """The fields that conditions refer to (described in schemas/document_fields.py).

    Ids are text (Elasticsearch's advice for exact terms), dates ISO text (their order is the text's order),
    money is in minor units, None is an absent value.
    """

    id: int
    active: bool
    country: str | None
    continent: str | None
    antarctica: bool
    type: str | None
    themes: list[str]
    level: int
    start: str
    month: int
    days: int
    price: int
    spots: int
    status: str


class TripDocument(SearchedFields, kw_only=True):
    """The searched fields, what follows from them, and `trip`, which is only stored."""

    offered_start: str = NOT_OFFERED
    """The start of a departure that is on offer (see scoring/offered_start.py). Only Elasticsearch reads it."""

    trip: msgspec.Raw
    """The departure as the API shows it: JSON that responses copy unchanged."""
    version: int = 0
    """Version of the read of Postgres that the document was built from."""


SEARCHED_FIELDS = tuple(field.name for field in msgspec.structs.fields(SearchedFields))

decode_document = msgspec.json.Decoder(TripDocument).decode
decode_searched_fields = msgspec.json.Decoder(SearchedFields).decode

INDEX_SETTINGS: dict[str, Any] = {
    "number_of_shards": 1,
    "auto_expand_replicas": "0-1",
    # Explicit, or an idle shard stops refreshing and the next search waits for it.
    "refresh_interval": "1s",
    # How long the tombstone of a deleted departure keeps its version: longer than any delayed write.
    "gc_deletes": "1h",
    "sort": {"field": ["offered_start", "id"], "order": ["asc", "asc"]},
}
