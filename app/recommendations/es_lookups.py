"""What searches are resolved against, as far as the trips in the index tell: for when the database can't be asked.

Countries without trips are missing: a traveller who wants to go there gets no others of the same continent instead.
"""

from collections.abc import Mapping
from typing import Any

from schemas.enums import PRIVATE_GROUPS, PRIVATE_GROUPS_ID
from scoring.context import SearchLookups

MOST = 1000
"""Countries and types; there are fewer."""

LOOKUP_QUERY: Mapping[str, Any] = {
    "size": 0,
    "aggs": {
        "countries": {
            "terms": {"field": "country", "size": MOST},
            "aggs": {"continents": {"terms": {"field": "continent", "size": 1}}},
        },
        "types": {
            "terms": {"field": "type", "size": MOST},
            "aggs": {"trips": {"top_hits": {"size": 1, "_source": ["trip.template.tripType.name"]}}},
        },
    },
}


def parse_lookups(found: Mapping[str, Any]) -> SearchLookups:
    """`found` is the aggregations' part of the answer to QUESTION."""
    return SearchLookups(
        private_type_id=next(filter(None, map(_private, found["types"]["buckets"])), PRIVATE_GROUPS_ID),
        continents={
            int(country["key"]): continent["key"]
            for country in found["countries"]["buckets"]
            for continent in country["continents"]["buckets"]
        },
    )


def _private(bucket: Mapping[str, Any]) -> int | None:
    trip = bucket["trips"]["hits"]["hits"][0]["_source"]["trip"]
    return int(bucket["key"]) if trip["template"]["tripType"]["name"] == PRIVATE_GROUPS else None
