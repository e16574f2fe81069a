"""Supabase tokens, valid and forged."""

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from hmac import digest
from typing import Any

import jwt

SECRET = "a-secret-that-only-supabase-and-the-api-know"


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a user who has just signed in; a change to None removes a claim."""
    standard = {
        "aud": "authenticated",
        "exp": int(time.time()) + 3600,
        "sub": "5f0c6c1e-8f5e-4a53-9d8f-0d1f7c2f5a11",
        "email": "dana@example.org",
        "role": "authenticated",
        "app_metadata": {"provider": "email"},
        "user_metadata": {},
    }
    return {name: value for name, value in {**standard, **changes}.items() if value is not None}


def token(*, secret: str = SECRET, **changes: Any) -> str:
    return jwt.encode(claims(**changes), secret, algorithm="HS256")


def admin_token(secret: str = SECRET) -> str:
    return token(secret=secret, app_metadata={"provider": "email", "role": "admin"})


def forged(header: Mapping[str, Any], body: Mapping[str, Any], secret: str = SECRET) -> str:
    """Return a token that is signed with HMAC whatever its header says."""
    signed = f"{_part(json.dumps(header).encode())}.{_part(json.dumps(body).encode())}"
    return f"{signed}.{_part(digest(secret.encode(), signed.encode(), sha256))}"


def _part(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
