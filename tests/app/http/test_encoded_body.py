import gzip

import pytest

from app.http.encoded_body import EncodedBody, encode_body

LARGE = b"departure " * 20_000


@pytest.mark.parametrize("identity", [b"x" * 600, LARGE])
async def test_large_body_is_compressed(identity: bytes) -> None:
    body = await encode_body(identity, compress=True)
    assert body.gzip is not None
    assert len(body.gzip) < len(identity)
    assert gzip.decompress(body.gzip) == body.identity == identity


async def test_small_body_is_not_compressed() -> None:
    assert (await encode_body(b"x" * 100, compress=True)).gzip is None


async def test_compression_can_be_disabled() -> None:
    assert (await encode_body(LARGE, compress=False)).gzip is None


async def test_etag_identifies_the_body() -> None:
    first, again, other = [await encode_body(text, compress=True) for text in (b"1", b"1", b"2")]
    assert first.etag == again.etag != other.etag


def test_body_is_current_by_default() -> None:
    assert not EncodedBody(b"", None, "").stale
