"""Authentication: anonymous, a user with a Supabase token, or an administrator."""

from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import Any

import jwt
from pydantic import SecretStr
from starlette.datastructures import Headers

from core.errors import NotAuthenticatedError, NotAuthorizedError
from core.settings import Settings

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


def authenticate(headers: Headers, settings: Settings) -> Identity:
    """Return the identity that the bearer token proves, or ANONYMOUS without a valid token."""
    return _identify(_bearer(headers), settings.supabase_jwt_secret)


def require_admin(headers: Headers, settings: Settings) -> str:
    """Return the administrator's name, for the log.

    Raises:
        NotAuthenticatedError: the request has no valid credentials.
        NotAuthorizedError: the user is no administrator.
    """
    if _has_service_key(headers, settings.admin_key):
        return "service key"
    identity = authenticate(headers, settings)
    if identity.user is None:
        raise NotAuthenticatedError("Please send the token of an administrator, or the service key.")
    if not identity.is_admin:
        raise NotAuthorizedError("This is for administrators only.")
    return identity.user


def _has_service_key(headers: Headers, key: SecretStr | None) -> bool:
    if key is None:
        return False
    given = (_bearer(headers), headers.get("x-admin-key", ""))
    # All comparisons are made, of digests: their duration reveals neither the key's length nor which one matched.
    matches = [compare_digest(_digest(candidate), _digest(key.get_secret_value())) for candidate in given]
    return any(matches)


def _digest(text: str) -> bytes:
    return sha256(text.encode()).digest()


def _bearer(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _identify(token: str, secret: SecretStr | None) -> Identity:
    if not token or secret is None or len(token) > MAX_TOKEN:
        return ANONYMOUS
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            secret.get_secret_value(),
            algorithms=["HS256"],
            audience=AUDIENCE,
            # The time of issue is not used, and Supabase's clock may be a second ahead.
            options={"require": ["exp", "sub"], "verify_iat": False},
        )
    except jwt.PyJWTError:
        return ANONYMOUS
    return _from_claims(claims)


def _from_claims(claims: dict[str, Any]) -> Identity:
    user, email, metadata = claims["sub"], claims.get("email"), claims.get("app_metadata")
    if not _is_text(user):
        return ANONYMOUS
    return Identity(
        user=user,
        email=email if _is_text(email) else None,
        # Users can change their `user_metadata` at Supabase, but not their `app_metadata`.
        is_admin=isinstance(metadata, dict) and metadata.get("role") == "admin",
    )


def _is_text(claim: object) -> bool:
    """Return whether a claim is a text that can be stored: JSON may escape half of a surrogate pair, or NUL."""
    if not isinstance(claim, str) or not claim or "\0" in claim:
        return False
    try:
        claim.encode()
    except UnicodeEncodeError:
        return False
    return True
