"""Tokens signed with the project's public keys (JWKS), and why tokens are rejected."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from prometheus_client import REGISTRY
from pydantic import SecretStr
from starlette.datastructures import Headers
from structlog.testing import capture_logs

from app.access import signing_keys, token_failures
from app.access.authentication import ANONYMOUS, authenticate
from app.access.signing_keys import NO_KEYS, SigningKeys, fetch_key_set, parse_key_set
from core.configuration.settings import Settings, SettingsError, load_settings
from tests.support.api.serving import serving
from tests.support.api.tokens import SECRET, claims, forged, token

USER = claims()["sub"]
EC_KEYS = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("first", "second")}
RSA_KEY = rsa.generate_private_key(65537, 2048)
WEAK_KEY = rsa.generate_private_key(65537, 1024)
ISSUER = "https://project.example/auth/v1"


def jwk(key: Any, key_id: str, **changes: Any) -> dict[str, Any]:
    convert = ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else RSAAlgorithm
    public: dict[str, Any] = convert.to_jwk(key.public_key(), as_dict=True)
    return {**public, "kid": key_id, **changes}


def signed(key: Any, key_id: str | None, algorithm: str | None = None, **changes: Any) -> str:
    algorithm = algorithm or ("ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256")
    headers = None if key_id is None else {"kid": key_id}
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers=headers)


def document(*entries: dict[str, Any]) -> bytes:
    return orjson.dumps({"keys": entries})


KEYS = parse_key_set(document(jwk(EC_KEYS["first"], "first"), jwk(RSA_KEY, "rsa")))


class KeyServer:
    def __init__(self, *entries: dict[str, Any]) -> None:
        self.entries = entries
        self.fetches = 0
        self.is_down = False

    async def fetch(self, _: str) -> bytes:
        self.fetches += 1
        await asyncio.sleep(0)
        if self.is_down:
            raise OSError("down")
        return document(*self.entries)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = [1000.0]
    monkeypatch.setattr(signing_keys, "monotonic", lambda: now[0])
    monkeypatch.setattr(token_failures, "monotonic", lambda: now[0])

    def advance(seconds: float) -> None:
        now[0] += seconds

    return advance


@pytest.fixture
def secured(settings: Settings) -> Settings:
    return settings.model_copy(update={"supabase_jwt_secret": SecretStr(SECRET), "supabase_issuer": None})


def user_of(settings: Settings, credentials: str, keys: signing_keys.KeySet = KEYS) -> str | None:
    return authenticate(Headers({"authorization": f"Bearer {credentials}"}), settings, keys).user


@pytest.mark.parametrize("secret", [None, SecretStr(SECRET)])
@pytest.mark.parametrize(("key", "key_id"), [(EC_KEYS["first"], "first"), (RSA_KEY, "rsa")])
def test_public_key_verifies_token(settings: Settings, key: Any, key_id: str, secret: SecretStr | None) -> None:
    known = settings.model_copy(update={"supabase_jwt_secret": secret})
    assert user_of(known, signed(key, key_id)) == USER


REJECTED: dict[str, tuple[str, str]] = {
    "other key": (signed(EC_KEYS["second"], "first"), "signature"),
    "unknown key": (signed(EC_KEYS["second"], "second"), "unknown_key"),
    "no key id": (signed(EC_KEYS["first"], None), "unknown_key"),
    "other key's algorithm": (signed(RSA_KEY, "first"), "algorithm"),
    "public key as secret": (forged({"alg": "HS256", "kid": "first"}, claims(), secret="first" * 9), "signature"),
    "algorithm not offered": (signed(RSA_KEY, "rsa", "PS256"), "algorithm"),
    "wrong secret": (jwt.encode(claims(), "x" * 32, algorithm="HS256"), "signature"),
    "unsigned": (jwt.encode(claims(), "", algorithm="none"), "algorithm"),
    "expired": (token(exp=int(time.time()) - 1), "expired"),
    "expired, public key": (signed(RSA_KEY, "rsa", exp=int(time.time()) - 1), "expired"),
    "early": (token(nbf=int(time.time()) + 3600), "not_yet_valid"),
    "audience": (token(aud="anon"), "audience"),
    "no audience": (token(aud=None), "claims"),
    "no subject": (token(sub=None), "claims"),
    "empty subject": (token(sub=""), "claims"),
    "no token": ("no.token", "malformed"),
    "text": ("abc", "malformed"),
    "huge": ("x" * 9000, "too_long"),
}


@pytest.mark.parametrize("name", REJECTED)
def test_rejected_token_is_counted_by_reason(secured: Settings, name: str) -> None:
    credentials, reason = REJECTED[name]

    def counts() -> float:
        return REGISTRY.get_sample_value("smarttrip_token_failures_total", {"reason": reason}) or 0.0

    before = counts()
    assert user_of(secured, credentials) is None
    assert counts() == before + 1


def test_rejections_are_logged_once_a_minute(clock: Callable[[float], None]) -> None:
    failures = token_failures.TokenFailures()
    with capture_logs() as lines:
        for seconds in (0, 10, 49, 1, 59, 1):
            clock(seconds)
            failures.record("expired")
            failures.record("signature")
    counts = [{name: line.get(name) for name in ("expired", "signature")} for line in lines]
    assert [line["event"] for line in lines] == ["tokens_rejected"] * 3
    assert counts == [
        {"expired": 1, "signature": None},
        {"expired": 3, "signature": 3},
        {"expired": 2, "signature": 2},
    ]


@pytest.mark.parametrize(("issuer", "known"), [(ISSUER, True), ("https://other.example", False), (None, False)])
def test_issuer_is_verified_where_it_is_set(secured: Settings, issuer: str | None, *, known: bool) -> None:
    strict = secured.model_copy(update={"supabase_issuer": ISSUER})
    for credentials in (token(iss=issuer), signed(RSA_KEY, "rsa", iss=issuer)):
        assert (user_of(strict, credentials) is not None) is known
        assert user_of(secured, credentials) == USER


NOT_TRUE: list[Any] = [False, "false", "False", "FALSE", 0, 1, -1, 0.0, "0", "1", "no", "", [], {}, [True]]


@pytest.mark.parametrize("place", [None, "app_metadata", "user_metadata"])
@pytest.mark.parametrize(("value", "proved"), [(True, True), ("true", True), *((value, False) for value in NOT_TRUE)])
def test_unverified_address_proves_nothing(secured: Settings, place: str | None, *, value: Any, proved: bool) -> None:
    said = {"email_verified": value}
    sent = token(**(said if place is None else {place: said}))
    identity = authenticate(Headers({"authorization": f"Bearer {sent}"}), secured)
    assert (identity.user, identity.email) == (USER, "dana@example.org" if proved else None)


@pytest.mark.parametrize("length", [1, 31, 32])
def test_short_secret_is_refused_at_start(length: int) -> None:
    if length >= 32:
        load_settings(supabase_jwt_secret="x" * length)
        return
    with pytest.raises(SettingsError, match="SUPABASE_JWT_SECRET is wrong: should have at least 32 bytes"):
        load_settings(supabase_jwt_secret="x" * length)


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "oct", "kid": "weak", "k": "YXR0YWNrZXI"},
        jwk(WEAK_KEY, "weak"),
        jwk(ec.generate_private_key(ec.SECP384R1()), "weak"),
        jwk(EC_KEYS["first"], "weak", use="enc"),
        jwk(EC_KEYS["first"], "weak", alg="HS256"),
        {**jwk(EC_KEYS["first"], "weak"), "x": "AA"},
        {**jwk(EC_KEYS["first"], "weak"), "kid": None},
        {"kid": "weak"},
        "weak",
    ],
    ids=lambda entry: str(entry)[:30],
)
def test_unusable_key_is_left_out(entry: Any) -> None:
    keys = parse_key_set(orjson.dumps({"keys": [entry, jwk(EC_KEYS["second"], "second")]}))
    assert [*keys] == ["second"]


async def test_keys_are_fetched_once(clock: Callable[[float], None]) -> None:
    server = KeyServer(jwk(EC_KEYS["first"], "first"))
    keys = SigningKeys("http://keys.example", server.fetch)
    sent = signed(EC_KEYS["first"], "first")
    found = await asyncio.gather(*(keys.keys_for(sent) for _ in range(20)))
    assert [[*each] for each in found] == [["first"]] * 20
    assert server.fetches == 1


async def test_rotated_key_is_fetched(clock: Callable[[float], None], secured: Settings) -> None:
    server = KeyServer(jwk(EC_KEYS["first"], "first"))
    keys = SigningKeys("http://keys.example", server.fetch)
    await keys.keys_for(signed(EC_KEYS["first"], "first"))
    server.entries = (jwk(EC_KEYS["second"], "second"),)
    clock(signing_keys.RETRY_SECONDS)
    sent = signed(EC_KEYS["second"], "second")
    assert user_of(secured, sent, await keys.keys_for(sent)) == USER
    old = signed(EC_KEYS["first"], "first")
    assert user_of(secured, old, await keys.keys_for(old)) is None


async def test_unknown_keys_do_not_cause_more_fetches(clock: Callable[[float], None]) -> None:
    server = KeyServer(jwk(EC_KEYS["first"], "first"))
    keys = SigningKeys("http://keys.example", server.fetch)
    for number in range(50):
        await keys.keys_for(signed(EC_KEYS["second"], f"unknown {number}"))
    assert server.fetches == 1


async def test_outage_of_the_key_server_retains_keys_for_a_day(clock: Callable[[float], None]) -> None:
    server = KeyServer(jwk(EC_KEYS["first"], "first"))
    keys = SigningKeys("http://keys.example", server.fetch)
    sent = signed(EC_KEYS["first"], "first")
    await keys.keys_for(sent)
    server.is_down = True
    with capture_logs() as lines:
        clock(signing_keys.MAX_AGE_SECONDS)
        assert [*await keys.keys_for(sent)] == ["first"]
        await asyncio.sleep(0.01)
        clock(signing_keys.RETRY_SECONDS)
        assert await keys.keys_for(sent) == NO_KEYS
    assert {line["event"] for line in lines} == {"signing_keys_unavailable"}


@pytest.mark.parametrize("sent", [token(), "", "no token", "W1tb" * 1500])
async def test_other_tokens_wait_for_no_fetch(sent: str) -> None:
    async def fetch(_: str) -> bytes:
        await asyncio.Event().wait()
        return b""

    keys = SigningKeys("http://keys.example", fetch)
    async with asyncio.timeout(1):
        assert await keys.keys_for(sent) == NO_KEYS
    await keys.aclose()


@asynccontextmanager
async def responding(response: bytes) -> AsyncIterator[str]:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks.json"


async def test_token_of_the_key_server_is_accepted(settings: Settings) -> None:
    body = document(jwk(EC_KEYS["first"], "first"))
    async with responding(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)) as url:
        known = settings.model_copy(update={"supabase_jwks_url": url, "supabase_jwt_secret": None})
        async with serving(known) as api:
            admin = signed(EC_KEYS["first"], "first", app_metadata={"role": "admin"})
            for credentials, status in ((admin, 200), (token(app_metadata={"role": "admin"}), 401)):
                headers = {"Authorization": f"Bearer {credentials}"}
                assert (await api.get("/api/admin/index", headers=headers)).status_code == status


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (signing_keys.MAX_BYTES + 1),
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 Error\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["too long", "redirect", "error"],
)
async def test_unexpected_response_is_an_error(response: bytes) -> None:
    async with responding(response) as url:
        with pytest.raises(OSError, match="key server"):
            await fetch_key_set(url)


def test_without_keys_public_key_token_is_anonymous(secured: Settings) -> None:
    headers = Headers({"authorization": f"Bearer {signed(RSA_KEY, 'rsa')}"})
    assert authenticate(headers, secured) == ANONYMOUS
