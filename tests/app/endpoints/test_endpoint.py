import asyncio
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response

from app.endpoints.endpoint import Endpoint
from app.http.errors import ApiError
from app.state import ApiRequest
from core.configuration.settings import Settings
from tests.app.conftest import ADMIN_KEY
from tests.support.api.serving import serving
from tests.support.api.uvicorn_server import uvicorn_serving


class Stuck:
    """Cache that never responds."""

    async def get(self, *args: object, **kwargs: object) -> None:
        await asyncio.Event().wait()


@pytest.mark.usefixtures("database")
async def test_timeout_is_a_retryable_503(settings: Settings) -> None:
    async with serving(settings.model_copy(update={"request_seconds": 0.1}), cache=Stuck()) as api:
        answer = await api.get("/api/countries")
    assert (answer.status_code, answer.json()["code"]) == (503, "timeout")
    assert "timeout" in answer.json()["error"]
    assert int(answer.headers["retry-after"]) > 0


def endpoint(*, admin: bool) -> Endpoint:
    async def takes_a_moment(_request: ApiRequest) -> Response:
        await asyncio.sleep(0.5)
        return Response(b"{}")

    return Endpoint(method="GET", path="/", handler=takes_a_moment, summary="", tag="", response=None, admin=admin)


@pytest.mark.parametrize(("admin", "in_time"), [(False, False), (True, True)])
async def test_admin_calls_have_their_own_timeout(settings: Settings, admin: bool, in_time: bool) -> None:
    bounds = {"request_seconds": 0.01, "admin_seconds": 5, "admin_key": SecretStr(ADMIN_KEY)}
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [(b"x-admin-key", ADMIN_KEY.encode())],
        "state": {"settings": settings.model_copy(update=bounds)},
    }
    answering = endpoint(admin=admin).handle(Request(scope))
    if in_time:
        assert (await answering).status_code == 200
    else:
        with pytest.raises(ApiError) as refusal:
            await answering
        assert refusal.value.code == "timeout"


@pytest.mark.usefixtures("database")
async def test_missing_body_is_a_408(settings: Settings) -> None:
    with uvicorn_serving(settings.model_copy(update={"body_seconds": 0.2})) as address:
        host, _, port = address.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /api/events HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 99\r\n"
        writer.write(f'{head}\r\n{{"event_'.encode())
        async with asyncio.timeout(5):
            # The server closes the connection, so that later bytes are no new request.
            answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408")
    # The web client would retry after a message with the word "timeout".
    assert b'"error":"The request took too long to arrive."' in answer
