import gzip
import json
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.recommendations.appendable_body import AppendableJsonBody

objects = st.dictionaries(st.text(), st.text() | st.integers() | st.none(), min_size=1, max_size=50)


def opened(body: Mapping[str, object], *, gzipped: bool, metadata: bytes = b"") -> AppendableJsonBody:
    return AppendableJsonBody.build(json.dumps(body).encode()[:-1], metadata, gzipped=gzipped)


def read(body: AppendableJsonBody, last: bytes) -> Any:
    closed = b"".join(body.close(last))
    return json.loads(gzip.decompress(closed) if body.gzipped else closed)


@given(objects, st.uuids(), st.binary(max_size=100), st.booleans())
def test_closed_body_ends_with_appended_field(
    body: dict[str, object], last: object, metadata: bytes, gzipped: bool
) -> None:
    shared = AppendableJsonBody.unpack(opened(body, gzipped=gzipped, metadata=metadata).pack())
    assert read(shared, f'"the last":"{last}"'.encode()) == body | {"the last": str(last)}
    assert (shared.metadata, shared.gzipped) == (metadata, gzipped)


def test_body_can_be_closed_repeatedly() -> None:
    body = opened({"a": 1}, gzipped=True)
    assert read(body, b'"b":1') == {"a": 1, "b": 1}
    assert read(body, b'"b":2') == {"a": 1, "b": 2}


def test_compression_saves_nine_tenths() -> None:
    text = {"text": "a departure " * 1000}
    plain, small = (b"".join(opened(text, gzipped=gzipped).close(b'"b":1')) for gzipped in (False, True))
    assert len(small) < len(plain) / 10
