import jwt
import pytest
from pydantic import SecretStr
from starlette.requests import Request

from app.state import ApiRequest, RequestContext, current_identity
from core.configuration.settings import Settings
from tests.support.api.tokens import SECRET, claims, token


def test_token_is_verified_once_per_request(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    secured = settings.model_copy(update={"supabase_jwt_secret": SecretStr(SECRET)})
    headers = [(b"authorization", f"Bearer {token()}".encode())]
    context = RequestContext("an-id", dict(headers))
    request: ApiRequest = Request(
        {"type": "http", "headers": headers, "state": {"settings": secured, "context": context}}
    )
    first = current_identity(request)
    assert first.user == claims()["sub"]
    monkeypatch.setattr(jwt, "decode", None)
    assert current_identity(request) is first
