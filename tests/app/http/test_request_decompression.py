import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable
from functools import partial

import httpx2
import pytest

from app.endpoints.endpoint import Endpoint
from app.http.errors import ApiError
from app.http.request_decompression import MAX_MEMBERS, decode_body
from app.routes import ENDPOINTS
from core.configuration.settings import Settings
from tests.support.api.serving import serving

WITH_BODY = [endpoint for endpoint in ENDPOINTS if endpoint.body and not endpoint.admin]
LIMIT = 64 * 1024


# The time in gzip's header would give every test process other test names.
compress_gzip = partial(gzip.compress, mtime=0)


def raw_deflate(content: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(content) + compressor.flush()


CODECS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", compress_gzip),
    "upper case": ("GZIP ", compress_gzip),
    "x-gzip": ("x-gzip", compress_gzip),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "two members": ("gzip", lambda content: compress_gzip(content[:5]) + compress_gzip(content[5:])),
    "identity": ("identity", lambda content: content),
}
CODEC = pytest.mark.parametrize(("encoding", "compress"), CODECS.values(), ids=CODECS.keys())


def name(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


async def post(api: httpx2.AsyncClient, path: str, encoding: str, content: bytes) -> httpx2.Response:
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    return await api.post(path, content=content, headers=headers)


@CODEC
@pytest.mark.parametrize("size", [0, 1, 100, LIMIT])
def test_content_is_decoded(encoding: str, compress: Callable[[bytes], bytes], size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert decode_body(compress(content), encoding, LIMIT) == content


@pytest.mark.parametrize(("encoding", "compress"), [CODECS[name] for name in CODECS if name != "identity"])
@pytest.mark.parametrize("size", [LIMIT + 1, 100 * LIMIT])
def test_content_over_limit_is_rejected(encoding: str, compress: Callable[[bytes], bytes], size: int) -> None:
    with pytest.raises(ApiError) as error:
        decode_body(compress(b"x" * size), encoding, LIMIT)
    assert error.value.status == 413


def test_bomb_is_rejected_at_the_limit() -> None:
    bomb = compress_gzip(b"0" * 60 * 1024 * 1024)
    assert len(bomb) < LIMIT
    tracemalloc.start()
    try:
        with pytest.raises(ApiError, match="too large"):
            decode_body(bomb, "gzip", LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 10 * LIMIT
    finally:
        tracemalloc.stop()


COMPRESSED = compress_gzip(b'{"a": 1}')


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", b"{}"),
        ("deflate", b"{}"),
        ("gzip", zlib.compress(b"{}")[:-1]),
        *(("gzip", COMPRESSED[:length]) for length in range(1, len(COMPRESSED))),
        ("gzip", COMPRESSED + b"more"),
        ("gzip", COMPRESSED[:-1] + b"x"),
        ("gzip", compress_gzip(b"") * (MAX_MEMBERS + 1)),
    ],
)
def test_malformed_body_is_rejected(encoding: str, body: bytes) -> None:
    with pytest.raises(ApiError) as error:
        decode_body(body, encoding, LIMIT)
    assert error.value.status == 400


@CODEC
@pytest.mark.parametrize("endpoint", WITH_BODY, ids=name)
async def test_every_endpoint_accepts_compressed_bodies(
    settings: Settings, endpoint: Endpoint, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    body = json.dumps({"email": "no address", "budget": "none", "event_type": "none", "scenario_ids": "none"}).encode()
    async with serving(settings) as api:
        plain = await post(api, endpoint.path, "identity", body)
        compressed = await post(api, endpoint.path, encoding, compress(body))
    assert plain.status_code == compressed.status_code == 400
    assert plain.json()["details"] == compressed.json()["details"]


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip", "gzip;q=1", "*", "\xff"])
@pytest.mark.parametrize("endpoint", WITH_BODY, ids=name)
async def test_other_encoding_is_unsupported(settings: Settings, endpoint: Endpoint, encoding: str) -> None:
    async with serving(settings) as api:
        response = await api.post(
            endpoint.path,
            content=b"{}",
            headers={b"Content-Type": b"application/json", b"Content-Encoding": encoding.encode("latin-1")},
        )
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")
    assert response.headers["Accept-Encoding"] == "gzip, deflate"
