"""Public keys of Supabase (JWKS) that verify tokens: fetched on demand, cached, and fetched again after a rotation."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

import aiohttp
import jwt
import orjson
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

log = structlog.get_logger()

REFRESH_SECONDS = 600.0
"""Age after which the keys are fetched again, in the background."""
MAX_AGE_SECONDS = 24 * 3600.0
"""Age after which keys are not used any more, if no fetch has succeeded since."""
RETRY_SECONDS = 10.0
"""Shortest time between two fetches: tokens with unknown keys cannot cause more."""
FETCH_SECONDS = 2.0
"""Timeout of a fetch; a token with an unknown key waits for it."""
MAX_BYTES = 64 * 1024
MAX_KEYS = 20
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192


@dataclass(frozen=True, slots=True)
class SigningKey:
    algorithm: str
    """ES256 or RS256; it follows from the key, so that a token cannot choose it."""
    key: EllipticCurvePublicKey | RSAPublicKey


KeySet = Mapping[str, SigningKey]
"""Keys by their ids."""

NO_KEYS: KeySet = {}

Fetch = Callable[[str], Awaitable[bytes]]


async def fetch_key_set(url: str) -> bytes:
    """Return the document at the URL, without following redirects. Raises OSError or aiohttp.ClientError."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=FETCH_SECONDS)) as session,
        session.get(url, allow_redirects=False) as response,
    ):
        if response.status != 200:
            raise OSError(f"the key server responded with status {response.status}")
        document = await response.content.read(MAX_BYTES + 1)
        while len(document) <= MAX_BYTES and (more := await response.content.read(MAX_BYTES)):
            document += more
    if len(document) > MAX_BYTES:
        raise OSError("the key server responded with too long a document")
    return document


def parse_key_set(document: bytes) -> KeySet:
    """Return the usable keys of a JWKS; others (symmetric, weak, other curves) are left out. Raises ValueError."""
    parsed = orjson.loads(document)
    listed = parsed.get("keys") if isinstance(parsed, dict) else None
    if not isinstance(listed, list):
        raise ValueError("should be an object with a list of keys")
    keys: dict[str, SigningKey] = {}
    for entry in listed[:MAX_KEYS]:
        key = _parse_key(entry) if isinstance(entry, dict) else None
        if key is not None and isinstance(entry.get("kid"), str):
            keys[entry["kid"]] = key
    return keys


def _parse_key(entry: dict[str, Any]) -> SigningKey | None:
    algorithm = {"EC": "ES256", "RSA": "RS256"}.get(str(entry.get("kty")))
    if algorithm is None or entry.get("alg", algorithm) != algorithm or entry.get("use", "sig") != "sig":
        return None
    try:
        key = jwt.PyJWK(entry, algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    is_curve = isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
    is_modulus = isinstance(key, RSAPublicKey) and MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS
    return SigningKey(algorithm, key) if is_curve or is_modulus else None


class SigningKeys:
    """Cache of the keys at `url`; without a URL there are none."""

    def __init__(self, url: str | None, fetch: Fetch = fetch_key_set) -> None:
        self._url = url
        self._fetch = fetch
        self._keys: KeySet = NO_KEYS
        self._fetched_at = self._tried_at = float("-inf")
        self._refresh: asyncio.Task[None] | None = None

    async def keys_for(self, token: str) -> KeySet:
        """Return the keys, fetched again if they are old or lack that of the token.

        Only a token whose key is unknown waits, for one fetch that all share.
        """
        if self._url is None or not token:
            return NO_KEYS
        age = monotonic() - self._fetched_at
        if age > MAX_AGE_SECONDS:
            self._keys = NO_KEYS
        key_id = token_key_id(token)
        is_known = key_id is None or key_id in self._keys
        if age > REFRESH_SECONDS or not is_known:
            self._start_refresh(self._url)
        if not is_known and self._refresh is not None:
            await asyncio.wait([self._refresh], timeout=FETCH_SECONDS)
        return self._keys

    async def aclose(self) -> None:
        if self._refresh is not None:
            self._refresh.cancel()
            await asyncio.wait([self._refresh])

    def _start_refresh(self, url: str) -> None:
        if self._refresh is None and monotonic() - self._tried_at >= RETRY_SECONDS:
            self._tried_at = monotonic()
            self._refresh = asyncio.create_task(self._run_refresh(url))

    async def _run_refresh(self, url: str) -> None:
        try:
            self._keys = parse_key_set(await self._fetch(url))
            self._fetched_at = monotonic()
        except (OSError, TimeoutError, aiohttp.ClientError, ValueError) as error:
            log.warning("signing_keys_unavailable", error=type(error).__name__)
        finally:
            self._refresh = None


def token_key_id(token: str) -> str | None:
    """Return the id of the key that a token names if it is signed with a public key, else None."""
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        return None
    key_id = header.get("kid")
    return key_id if isinstance(key_id, str) and header.get("alg") in ("ES256", "RS256") else None
