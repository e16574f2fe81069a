import time
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from starlette.datastructures import Headers

from app.access.authentication import ANONYMOUS, Identity, authenticate, require_admin
from app.http.errors import to_api_error
from core.configuration.settings import Settings
from core.errors import ExpectedError
from tests.support.api.tokens import SECRET, admin_token, claims, forged, token

ADMIN_KEY = "the-service-key-of-this-test"
USER = claims()["sub"]
HOUR = 3600


@pytest.fixture
def secured(settings: Settings) -> Settings:
    return settings.model_copy(
        update={"supabase_jwt_secret": SecretStr(SECRET), "admin_key": SecretStr(ADMIN_KEY)},
    )


def headers_of(**headers: str) -> Headers:
    return Headers(raw=[(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()])


def who_sends(settings: Settings, credentials: str) -> Identity:
    return authenticate(headers_of(authorization=f"Bearer {credentials}"), settings)


def refusal_of(settings: Settings, **headers: str) -> int:
    with pytest.raises(ExpectedError) as refused:
        require_admin(headers_of(**headers), settings)
    return to_api_error(refused.value).status


def test_supabase_token_identifies_the_user(secured: Settings) -> None:
    assert who_sends(secured, token()) == Identity(user=USER, email="dana@example.org", is_admin=False)


def test_scheme_is_case_insensitive(secured: Settings) -> None:
    assert authenticate(headers_of(authorization=f"bearer  {token()}"), secured).user == USER


@pytest.mark.parametrize("email", [None, "", 5, ["dana@example.org"], "dana\udcff@example.org", "dana\0@example.org"])
def test_token_without_email_identifies_the_user(secured: Settings, email: Any) -> None:
    assert who_sends(secured, token(email=email)) == Identity(user=USER)


def test_token_issued_in_the_future_is_valid(secured: Settings) -> None:
    assert who_sends(secured, token(iat=int(time.time()) + 30)).user == USER


def test_without_secret_every_token_is_anonymous(settings: Settings) -> None:
    without = settings.model_copy(update={"supabase_jwt_secret": None})
    assert who_sends(without, token()) == ANONYMOUS
    assert who_sends(without, forged({"alg": "HS256", "typ": "JWT"}, claims(), secret="")) == ANONYMOUS


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"exp": int(time.time()) - 1}, id="expired"),
        pytest.param({"exp": None}, id="never expires"),
        pytest.param({"exp": "soon"}, id="expires at no time"),
        pytest.param({"exp": [1]}, id="expires at a list"),
        pytest.param({"nbf": int(time.time()) + HOUR}, id="not before an hour from now"),
        pytest.param({"aud": None}, id="no audience"),
        pytest.param({"aud": "anon"}, id="another audience"),
        pytest.param({"aud": ["anon", "service_role"]}, id="other audiences"),
        pytest.param({"aud": {"authenticated": 1}}, id="an audience that is an object"),
        pytest.param({"sub": None}, id="no subject"),
        pytest.param({"sub": ""}, id="an empty subject"),
        pytest.param({"sub": 5}, id="a subject that is a number"),
        pytest.param({"sub": {"id": 5}}, id="a subject that is an object"),
        pytest.param({"sub": "\ud800"}, id="a subject that is half of a character"),
        pytest.param({"sub": "\0"}, id="a subject that cannot be stored"),
        pytest.param({"exp": float("inf")}, id="expires at infinity"),
        pytest.param({"nbf": float("inf")}, id="not before infinity"),
        pytest.param({"filler": "x" * 8192}, id="huge"),
    ],
)
def test_invalid_token_is_anonymous(secured: Settings, changes: dict[str, Any]) -> None:
    assert who_sends(secured, forged({"alg": "HS256", "typ": "JWT"}, claims(**changes))) == ANONYMOUS


def test_unsigned_token_is_anonymous(secured: Settings) -> None:
    unsigned = jwt.encode(claims(), "", algorithm="none")
    assert who_sends(secured, unsigned) == ANONYMOUS
    header, body, _ = unsigned.split(".")
    for signature in ("", token().split(".")[2]):
        assert who_sends(secured, f"{header}.{body}.{signature}") == ANONYMOUS


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, "RS256", "ES256", "HS384", "HS512", ["HS256"]])
def test_token_cannot_choose_its_algorithm(secured: Settings, algorithm: Any) -> None:
    assert who_sends(secured, forged({"alg": algorithm, "typ": "JWT"}, claims())) == ANONYMOUS


def test_public_key_does_not_serve_as_secret(settings: Settings) -> None:
    """Key confusion: a token signed by HMAC with what everybody may know of an RSA key."""
    public_key = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n"
    confused = settings.model_copy(update={"supabase_jwt_secret": SecretStr(public_key)})
    assert who_sends(confused, forged({"alg": "HS256", "typ": "JWT"}, claims(), secret=public_key)) == ANONYMOUS


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "HS256", "jwk": {"kty": "oct", "k": "YXR0YWNrZXI"}},
        {"alg": "HS256", "jku": "https://attacker.example/keys.json"},
        {"alg": "HS256", "kid": "../../../dev/null"},
        {"alg": "HS256", "crit": ["exp"], "exp": 0},
        {"alg": "HS256", "b64": False, "crit": ["b64"]},
    ],
)
def test_token_cannot_bring_its_own_key(secured: Settings, header: dict[str, Any]) -> None:
    assert who_sends(secured, forged(header, claims(), secret="a key of the attacker's own choosing")) == ANONYMOUS


@pytest.mark.parametrize("part", [0, 1, 2])
def test_altered_token_is_anonymous(secured: Settings, part: int) -> None:
    parts = token().split(".")
    parts[part] = parts[part][:-2] + ("AA" if parts[part][-2:] != "AA" else "BB")
    assert who_sends(secured, ".".join(parts)) == ANONYMOUS


def test_deeply_nested_token_is_anonymous(secured: Settings) -> None:
    nested = forged({"alg": "HS256"}, claims()).split(".")[1:]
    deep = "W1tb" * 1500
    assert who_sends(secured, ".".join([deep, *nested])) == ANONYMOUS


@given(credentials=st.text(st.characters(max_codepoint=255), max_size=200))
def test_arbitrary_text_is_anonymous(settings: Settings, credentials: str) -> None:
    secured = settings.model_copy(update={"supabase_jwt_secret": SecretStr(SECRET)})
    assert authenticate(headers_of(authorization=credentials), secured) == ANONYMOUS
    assert who_sends(secured, credentials) == ANONYMOUS


def test_admin_role_is_read_from_app_metadata(secured: Settings) -> None:
    assert require_admin(headers_of(authorization=f"Bearer {admin_token()}"), secured) == USER


@pytest.mark.parametrize("header", ["authorization", "x_admin_key"])
def test_service_key_authorizes_admin(secured: Settings, header: str) -> None:
    value = ADMIN_KEY if header == "x_admin_key" else f"Bearer {ADMIN_KEY}"
    assert require_admin(headers_of(**{header: value}), secured) == "service key"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="any user"),
        pytest.param({"user_metadata": {"role": "admin"}}, id="a role that the user wrote"),
        pytest.param({"role": "admin"}, id="a role outside of the metadata"),
        pytest.param({"app_metadata": {"role": "Admin"}}, id="another word"),
        pytest.param({"app_metadata": {"role": ["admin"]}}, id="a list of roles"),
        pytest.param({"app_metadata": {"roles": "admin"}}, id="another name"),
        pytest.param({"app_metadata": "admin"}, id="metadata that is a text"),
        pytest.param({"is_admin": True}, id="a claim of that name"),
    ],
)
def test_other_users_are_not_authorized(secured: Settings, changes: dict[str, Any]) -> None:
    assert refusal_of(secured, authorization=f"Bearer {token(**changes)}") == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": f"Basic {ADMIN_KEY}"},
        {"authorization": ADMIN_KEY},
        {"authorization": f"Bearer {ADMIN_KEY[:-1]}"},
        {"authorization": f"Bearer {ADMIN_KEY}x"},
        {"authorization": f"Bearer {forged({'alg': 'none'}, claims(app_metadata={'role': 'admin'}))}"},
        {"x_admin_key": ""},
        {"x_admin_key": ADMIN_KEY.upper()},
        {"x_admin_key": f"{ADMIN_KEY}\u00e9"},
    ],
)
def test_anonymous_admin_calls_are_unauthenticated(secured: Settings, headers: dict[str, str]) -> None:
    assert refusal_of(secured, **headers) == 401


@pytest.mark.parametrize(
    "headers", [{}, {"x_admin_key": ""}, {"authorization": "Bearer "}, {"authorization": "Bearer None"}]
)
def test_admin_is_closed_without_secrets(settings: Settings, headers: dict[str, str]) -> None:
    closed = settings.model_copy(update={"supabase_jwt_secret": None, "admin_key": None})
    assert refusal_of(closed, **headers) == 401
    assert refusal_of(closed, authorization=f"Bearer {admin_token()}") == 401


ROTATIONS = [(("new", "old"), True), (("new", None), False), ((None, "old"), True), ((None, None), False)]
"""Current and previous secret, and whether what was made with the old one is valid."""


def secret_of(name: str | None) -> SecretStr | None:
    return None if name is None else SecretStr(f"the-{name}-secret-of-at-least-32-bytes")


@pytest.mark.parametrize(("names", "valid"), ROTATIONS)
def test_previous_token_secret_is_valid_during_rotation(
    settings: Settings, names: tuple[str | None, str | None], valid: bool
) -> None:
    current, previous = map(secret_of, names)
    rotating = settings.model_copy(update={"supabase_jwt_secret": current, "supabase_jwt_secret_previous": previous})
    for name, expected in (("old", valid), ("new", names[0] == "new"), ("other", False)):
        secret = secret_of(name)
        assert secret is not None
        signed = jwt.encode(claims(), secret.get_secret_value(), "HS256")
        assert (who_sends(rotating, signed) != ANONYMOUS) == expected, name


@pytest.mark.parametrize(("names", "valid"), ROTATIONS)
def test_previous_service_key_is_valid_during_rotation(
    settings: Settings, names: tuple[str | None, str | None], valid: bool
) -> None:
    current, previous = map(secret_of, names)
    rotating = settings.model_copy(update={"admin_key": current, "admin_key_previous": previous})
    for name, expected in (("old", valid), ("new", names[0] == "new"), ("other", False)):
        secret = secret_of(name)
        assert secret is not None
        assert is_authorized(rotating, secret.get_secret_value()) == expected, name


def is_authorized(settings: Settings, key: str) -> bool:
    try:
        return require_admin(headers_of(x_admin_key=key), settings) == "service key"
    except ExpectedError:
        return False
