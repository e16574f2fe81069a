"""Search lookups derived from the trips in the index, for searches while the database is unavailable.

Countries without trips are missing: the relaxed search does not widen them to their continent.
"""

from collections.abc import Mapping
from typing import Any

from schemas.enums import PRIVATE_GROUPS, PRIVATE_GROUPS_ID
from scoring.context import SearchLookups

MAX_BUCKETS = 1000
"""Highest number of countries and types that are returned; there are fewer."""

LOOKUP_QUERY: Mapping[str, Any] = {
    "size": 0,
    "aggs": {
        "countries": {
            "terms": {"field": "country", "size": MAX_BUCKETS},
            "aggs": {"continents": {"terms": {"field": "continent", "size": 1}}},
        },
        "types": {
            "terms": {"field": "type", "size": MAX_BUCKETS},
            "aggs": {"trips": {"top_hits": {"size": 1, "_source": ["trip.template.tripType.name"]}}},
        },
    },
}


def parse_lookups(aggregations: Mapping[str, Any]) -> SearchLookups:
    """Parse the aggregations of the response to LOOKUP_QUERY."""
    return SearchLookups(
        private_type_id=next(filter(None, map(_private_type_id, aggregations["types"]["buckets"])), PRIVATE_GROUPS_ID),
        continents={
            int(country["key"]): continent["key"]
            for country in aggregations["countries"]["buckets"]
            for continent in country["continents"]["buckets"]
        },
    )


def _private_type_id(bucket: Mapping[str, Any]) -> int | None:
    trip = bucket["trips"]["hits"]["hits"][0]["_source"]["trip"]
    return int(bucket["key"]) if trip["template"]["tripType"]["name"] == PRIVATE_GROUPS else None
