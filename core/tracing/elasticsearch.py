"""What a span tells of a response of Elasticsearch."""

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from core.tracing.spans import Attributes


class Total(Struct):
    value: int


class Hits(Struct):
    total: Total | None = None


class Response(Struct):
    took: int | None = None
    """Milliseconds."""
    hits: Hits | None = None


_DECODER = Decoder(Response)


def response_attributes(status: int, body: bytes) -> Attributes:
    """Return the status, how long Elasticsearch itself took, and the number of documents that it found."""
    attributes: dict[str, str | int] = {"db.response.status_code": str(status)}
    try:
        response = _DECODER.decode(body)
    except DecodeError:
        return attributes
    if response.took is not None:
        attributes["smarttrip.elasticsearch.took_ms"] = response.took
    if response.hits is not None and response.hits.total is not None:
        attributes["smarttrip.elasticsearch.hits"] = response.hits.total.value
    return attributes
