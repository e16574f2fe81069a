from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network

import httpx2
import pytest

from app.observability.request_metrics import current_metrics
from core.configuration.settings import Settings
from tests.support.api.serving import serving

OUTSIDE = "203.0.113.7"
REPORTS = {
    "X-Forwarded-For": OUTSIDE,
    "X-Real-IP": OUTSIDE,
    "Forwarded": f"for={OUTSIDE};proto=https",
    "forwarded": f'by=127.0.0.1;FOR="{OUTSIDE}:4711"',
    "x-forwarded-for": f"{OUTSIDE}, 127.0.0.1",
    "X-FORWARDED-FOR": f"127.0.0.1, {OUTSIDE}",
    "X-forwarded-for": "unknown",
    "FORWARDED": 'for="[2001:db8::7]"',
}
"""Headers of proxies that name a visitor outside."""


@asynccontextmanager
async def api_with(settings: Settings, **changes: object) -> AsyncIterator[httpx2.AsyncClient]:
    async with serving(settings.model_copy(update=changes)) as api:
        yield api


async def test_loopback_may_read_metrics(settings: Settings) -> None:
    async with api_with(settings) as api:
        response = await api.get("/metrics")
    assert response.status_code == 200
    assert "smarttrip_http_request_seconds" in response.text


async def test_address_outside_the_list_is_forbidden(settings: Settings) -> None:
    """The client of these tests has the address 127.0.0.1."""
    async with api_with(settings, metrics_allowed=[ip_network("10.0.0.0/8")]) as api:
        response = await api.get("/metrics")
    assert (response.status_code, response.json()["code"]) == (403, "forbidden")
    assert "METRICS_ALLOWED" in response.json()["error"]


@pytest.mark.parametrize("trusted", [[], [ip_network("127.0.0.1")]], ids=["unknown proxy", "trusted proxy"])
@pytest.mark.parametrize("header", REPORTS)
async def test_visitor_of_a_local_proxy_is_judged(settings: Settings, header: str, trusted: list[object]) -> None:
    async with api_with(settings, trusted_proxies=trusted) as api:
        response = await api.get("/metrics", headers={header: REPORTS[header]})
    assert response.status_code == 403


@pytest.mark.parametrize("trusted", [[], [ip_network("127.0.0.1")]], ids=["unknown proxy", "trusted proxy"])
async def test_allowed_visitor_of_a_proxy_may_read_metrics(settings: Settings, trusted: list[object]) -> None:
    allowed = [ip_network("127.0.0.1"), ip_network("203.0.113.0/24")]
    async with api_with(settings, metrics_allowed=allowed, trusted_proxies=trusted) as api:
        response = await api.get("/metrics", headers={"X-Forwarded-For": OUTSIDE})
    assert response.status_code == 200


async def test_metrics_are_rendered_once_a_second(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.lifespan.METRICS_SECONDS", 60)
    rendered: list[None] = []

    async def render() -> bytes:
        rendered.append(None)
        return await current_metrics()

    monkeypatch.setattr("app.lifespan.current_metrics", render)
    async with api_with(settings) as api:
        for _ in range(20):
            assert (await api.get("/metrics")).status_code == 200
    assert len(rendered) == 1
