"""Authentication: anonymous, a user with a Supabase token, or an administrator."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import Any

import jwt
from starlette.datastructures import Headers

from app.access.signing_keys import NO_KEYS, KeySet
from app.access.token_failures import Reason, token_failures
from core.configuration.settings import Settings
from core.errors import NotAuthenticatedError, NotAuthorizedError
from schemas.messages.message import Message

MAX_TOKEN = 8 * 1024
"""Characters; longer tokens are not verified."""

AUDIENCE = "authenticated"
"""Audience claim of Supabase's tokens for users."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sent a request; `user` is the token's subject, None if anonymous."""

    user: str | None = None
    email: str | None = None
    is_admin: bool = False


ANONYMOUS = Identity()


class TokenRejectedError(Exception):
    """A token that is not accepted, with the reason for metric and log."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


def authenticate(headers: Headers, settings: Settings, keys: KeySet = NO_KEYS) -> Identity:
    """Return the identity that the bearer token proves, or ANONYMOUS without a valid token.

    Tokens are signed with the secret of the settings, or with one of the public `keys`.
    """
    token = bearer_token(headers)
    if not token or has_service_key(headers, settings):
        return ANONYMOUS
    try:
        return _from_claims(_verify(token, settings, keys))
    except TokenRejectedError as error:
        token_failures.record(error.reason)
        return ANONYMOUS


def require_admin(headers: Headers, settings: Settings, identify: Callable[[], Identity] | None = None) -> str:
    """Return the administrator's name, for the log. `identify` returns who sent the headers, if that is known already.

    Raises:
        NotAuthenticatedError: the request has no valid credentials.
        NotAuthorizedError: the user is no administrator.
    """
    if has_service_key(headers, settings):
        return "service key"
    identity = identify() if identify is not None else authenticate(headers, settings)
    if identity.user is None:
        raise NotAuthenticatedError(Message("credentials_required"))
    if not identity.is_admin:
        raise NotAuthorizedError(Message("administrators_only"))
    return identity.user


def has_service_key(headers: Headers, settings: Settings) -> bool:
    keys = [key.get_secret_value() for key in (settings.admin_key, settings.admin_key_previous) if key is not None]
    given = (bearer_token(headers), headers.get("x-admin-key", ""))
    # All comparisons are made, of digests: their duration reveals neither the key's length nor which one matched.
    matches = [compare_digest(_digest(candidate), _digest(key)) for candidate in given for key in keys]
    return any(matches)


def _digest(text: str) -> bytes:
    return sha256(text.encode()).digest()


def bearer_token(headers: Headers) -> str:
    """Return the credentials of `Authorization: Bearer`, or an empty text."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _verify(token: str, settings: Settings, keys: KeySet) -> dict[str, Any]:
    """Return the claims of a valid token. Raises TokenRejectedError."""
    if len(token) > MAX_TOKEN:
        raise TokenRejectedError("too_long")
    try:
        *others, last = _verification_keys(jwt.get_unverified_header(token), settings, keys)
        for key, algorithm in others:
            with suppress(jwt.InvalidSignatureError):
                return _decode(token, key, algorithm, settings)
        return _decode(token, *last, settings)
    except (jwt.PyJWTError, RecursionError) as error:
        raise TokenRejectedError(_reason(error)) from error


def _decode(token: str, key: Any, algorithm: str, settings: Settings) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=[algorithm],
        audience=AUDIENCE,
        issuer=settings.supabase_issuer,
        # The time of issue is not used, and Supabase's clock may be a second ahead.
        options={"require": ["exp", "sub"], "verify_iat": False},
    )
    return claims


def _verification_keys(header: dict[str, Any], settings: Settings, keys: KeySet) -> list[tuple[Any, str]]:
    """Return one or two keys, each with its only algorithm. A public key verifies its own algorithm, a secret HS256."""
    match header.get("alg"):
        case "HS256":
            secrets = (settings.supabase_jwt_secret, settings.supabase_jwt_secret_previous)
            found = [(secret.get_secret_value(), "HS256") for secret in secrets if secret is not None]
            if not found:
                raise TokenRejectedError("no_secret")
            return found
        case "ES256" | "RS256" as algorithm:
            key_id = header.get("kid")
            key = keys.get(key_id) if isinstance(key_id, str) else None
            if key is None:
                raise TokenRejectedError("unknown_key")
            if key.algorithm != algorithm:
                raise TokenRejectedError("algorithm")
            return [(key.key, key.algorithm)]
        case _:
            raise TokenRejectedError("algorithm")


_REASONS: tuple[tuple[type[Exception], Reason], ...] = (
    (jwt.ExpiredSignatureError, "expired"),
    (jwt.ImmatureSignatureError, "not_yet_valid"),
    (jwt.InvalidAudienceError, "audience"),
    (jwt.InvalidIssuerError, "issuer"),
    (jwt.InvalidSignatureError, "signature"),
    (jwt.InvalidAlgorithmError, "algorithm"),
    (jwt.InvalidKeyError, "signature"),
    (jwt.DecodeError, "malformed"),
    (jwt.InvalidTokenError, "claims"),
)
"""The first that matches counts; subclasses come before their bases."""


def _reason(error: Exception) -> Reason:
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), "malformed")


def _from_claims(claims: dict[str, Any]) -> Identity:
    user, email, metadata = claims["sub"], claims.get("email"), claims.get("app_metadata")
    if not _is_text(user):
        raise TokenRejectedError("claims")
    return Identity(
        user=user,
        email=email if _is_text(email) and _is_email_verified(claims) else None,
        # Users can change their `user_metadata` at Supabase, but not their `app_metadata`.
        is_admin=isinstance(metadata, dict) and metadata.get("role") == "admin",
    )


def _is_email_verified(claims: dict[str, Any]) -> bool:
    """Return whether Supabase says nowhere anything else than that the address is verified."""
    places = (claims, claims.get("app_metadata"), claims.get("user_metadata"))
    said = [place["email_verified"] for place in places if isinstance(place, dict) and "email_verified" in place]
    return all(value is True or value == "true" for value in said)


def _is_text(claim: object) -> bool:
    """Return whether a claim is a text that can be stored: JSON may escape half of a surrogate pair, or NUL."""
    if not isinstance(claim, str) or not claim or "\0" in claim:
        return False
    try:
        claim.encode()
    except UnicodeEncodeError:
        return False
    return True
