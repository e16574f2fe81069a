import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from app.http.conditional import PUBLIC_ONE_HOUR, accepts_gzip, cached_response
from app.http.encoded_body import EncodedBody, encode_body

TEXT = b'{"success": true}' * 100


@pytest.fixture
async def body() -> EncodedBody:
    return await encode_body(TEXT, compress=True)


async def respond(body: EncodedBody, **headers: str) -> httpx2.Response:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await cached_response(dict(scope["headers"]), body, PUBLIC_ONE_HOUR)(scope, receive, send)

    transport = httpx2.ASGITransport(app=application)
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://testserver", headers={"Accept-Encoding": ""}
    ) as client:
        return await client.get("/", headers={name.replace("_", "-"): value for name, value in headers.items()})


async def test_body_is_uncompressed_by_default(body: EncodedBody) -> None:
    response = await respond(body)
    assert response.status_code == 200
    assert response.content == TEXT
    assert "content-encoding" not in response.headers
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "public, s-maxage=3600, stale-while-revalidate=86400"


async def test_body_is_gzipped_if_accepted(body: EncodedBody) -> None:
    response = await respond(body, accept_encoding="gzip, deflate, br")
    assert response.content == TEXT
    assert response.headers["content-encoding"] == "gzip"
    assert int(response.headers["content-length"]) < len(TEXT)


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_responses_vary_by_encoding(body: EncodedBody, encoding: str) -> None:
    response = await respond(body, accept_encoding=encoding)
    assert response.headers["vary"] == "Accept-Encoding"
    etag = response.headers["etag"]
    assert (await respond(body, accept_encoding=encoding, if_none_match=etag)).headers["vary"] == "Accept-Encoding"


async def test_each_encoding_has_its_own_strong_etag(body: EncodedBody) -> None:
    plain, compressed = (
        (await respond(body)).headers["etag"],
        (await respond(body, accept_encoding="gzip")).headers["etag"],
    )
    assert plain != compressed
    for etag in (plain, compressed):
        assert etag.startswith('"')
        assert etag.endswith('"')


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("br, gzip;q=0.5", True),
        ("*", True),
        ("gzip; q=1.0, identity; q=0.5", True),
        ("identity;q=0, gzip", True),
        ("", False),
        ("identity", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("*;q=0", False),
        ("gzip;q=0.2, identity;q=0.9", False),
        ("gzip;q=nonsense", False),
        ("gzip;q=", False),
        (";;,,=q", False),
        ("xgzip", False),
    ],
)
def test_accept_encoding_decides_on_gzip(header: str, *, accepted: bool) -> None:
    assert accepts_gzip(header.encode()) is accepted


@pytest.mark.parametrize("form", ["{0}", "W/{0}", '"other", {0}', '"other",W/{0} , "more"', "*", " * "])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_matching_etag_gets_304(body: EncodedBody, form: str, encoding: str) -> None:
    etag = (await respond(body, accept_encoding=encoding)).headers["etag"]
    response = await respond(body, accept_encoding=encoding, if_none_match=form.format(etag))
    assert response.status_code == 304
    assert response.content == b""
    assert response.headers["etag"] == etag
    assert response.headers["cache-control"] == PUBLIC_ONE_HOUR
    assert "content-type" not in response.headers
    assert "content-length" not in response.headers


async def test_etag_of_other_encoding_gets_304(body: EncodedBody) -> None:
    plain = (await respond(body)).headers["etag"]
    response = await respond(body, accept_encoding="gzip", if_none_match=plain)
    assert (response.status_code, response.headers["etag"]) == (304, plain)


@pytest.mark.parametrize("known", ['"other"', "", "unquoted", '""', 'W/"other", "more"'])
async def test_other_etag_gets_the_body(body: EncodedBody, known: str) -> None:
    assert (await respond(body, if_none_match=known)).status_code == 200


async def test_stale_body_must_be_revalidated(body: EncodedBody) -> None:
    stale = EncodedBody(body.identity, body.gzip, body.etag, stale=True)
    response = await respond(stale)
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["warning"] == '110 - "Response is Stale"'
    assert "warning" not in (await respond(body)).headers
