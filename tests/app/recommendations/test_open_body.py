import gzip
import json

from hypothesis import given
from hypothesis import strategies as st

from app.recommendations.open_body import OpenBody

objects = st.dictionaries(st.text(), st.text() | st.integers() | st.none(), min_size=1, max_size=50)


def opened(body: dict[str, object], note: bytes) -> OpenBody:
    return OpenBody.build(json.dumps(body).encode()[:-1], note)


@given(objects, st.uuids(), st.binary(max_size=100))
def test_a_closed_body_is_the_object_with_its_last_field(body: dict[str, object], last: object, note: bytes) -> None:
    shared = OpenBody.unpack(opened(body, note).pack())
    field = f'"the last":"{last}"'.encode()
    expected = body | {"the last": str(last)}
    assert json.loads(shared.close(field)) == expected
    assert json.loads(gzip.decompress(shared.close_gzip(field))) == expected
    assert shared.note == note


def test_one_body_is_closed_many_times() -> None:
    body = opened({"a": 1}, b"")
    first, second = body.close_gzip(b'"b":1'), body.close_gzip(b'"b":2')
    assert json.loads(gzip.decompress(first)) == {"a": 1, "b": 1}
    assert json.loads(gzip.decompress(second)) == {"a": 1, "b": 2}


def test_compression_is_worth_it() -> None:
    body = opened({"text": "a departure " * 1000}, b"")
    assert len(body.close_gzip(b'"b":1')) < len(body.close(b'"b":1')) / 10
