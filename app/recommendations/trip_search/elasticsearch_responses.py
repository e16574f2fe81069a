"""The parts of Elasticsearch's responses that are read. A trip's JSON is not parsed, only located."""

from typing import Any

from msgspec import Struct, field
from msgspec.json import Decoder

from schemas.index_document import TripDocument


class Shards(Struct):
    failed: int


class EsResponse(Struct, kw_only=True):
    shards: Shards = field(name="_shards")
    timed_out: bool = False

    @property
    def is_partial(self) -> bool:
        return self.timed_out or self.shards.failed > 0


class Total(Struct):
    value: int


class Hit(Struct):
    source: TripDocument = field(name="_source")
    sort: tuple[float, int, int]
    """Score, start and id."""


class Hits(Struct):
    total: Total
    hits: list[Hit]


class SearchResponse(EsResponse):
    hits: Hits


class CountResponse(EsResponse):
    count: int


class AggregationResponse(EsResponse):
    aggregations: dict[str, Any]


HITS, COUNT, FACETS = Decoder(SearchResponse), Decoder(CountResponse), Decoder(AggregationResponse)
