import httpx2
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.middleware.security_headers import SecurityHeaders


@pytest.mark.parametrize(("method", "path"), [("GET", "/livez"), ("GET", "/api/nothing"), ("DELETE", "/livez")])
async def test_every_answer_forbids_sniffing_framing_and_running(
    api: httpx2.AsyncClient, method: str, path: str
) -> None:
    headers = (await api.request(method, path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


async def test_what_the_api_answers_is_not_kept_unless_it_says_so(api: httpx2.AsyncClient) -> None:
    assert (await api.get("/api/nothing")).headers["Cache-Control"] == "private, no-store"
    assert "Cache-Control" not in (await api.get("/livez")).headers


async def test_what_an_answer_says_itself_stays() -> None:
    own = {"Cache-Control": "public, s-maxage=3600", "Content-Security-Policy": "default-src 'self'"}

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(headers=own)(scope, receive, send)

    transport = httpx2.ASGITransport(app=SecurityHeaders(application))
    async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
        headers = (await client.get("/api/locations")).headers
    assert {name: headers[name] for name in own} == own
