import httpx2
import pytest


@pytest.mark.parametrize(("method", "path"), [("GET", "/livez"), ("GET", "/api/nothing"), ("DELETE", "/livez")])
async def test_every_response_has_security_headers(api: httpx2.AsyncClient, method: str, path: str) -> None:
    headers = (await api.request(method, path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


async def test_api_responses_are_not_stored_by_default(api: httpx2.AsyncClient) -> None:
    assert (await api.get("/api/nothing")).headers["Cache-Control"] == "private, no-store"
    assert "Cache-Control" not in (await api.get("/livez")).headers
