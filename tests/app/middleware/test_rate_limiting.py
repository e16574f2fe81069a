import asyncio
import sys
from collections.abc import AsyncIterator
from ipaddress import IPv6Address, ip_network
from uuid import uuid4

import httpx2
import pytest
from pydantic import SecretStr

from app.access.rate_limiter import NETWORK_FACTOR
from core.configuration.settings import Settings
from tests.support.api.serve_process import serve_process
from tests.support.api.serving import serving
from tests.support.api.silent_server import silent_server
from tests.support.api.tokens import SECRET, token

RETRIED_WORDS = ("connection", "timeout", "network", "fetch", "refused")
"""Words in error messages after which the web client retries by itself."""


def new_address() -> str:
    """Return an address in a network without earlier requests, in this run or another."""
    number = uuid4().hex
    return f"2001:{number[:4]}:{number[4:8]}:{number[8:12]}::1"


@pytest.fixture
def limited(settings: Settings) -> Settings:
    return settings.model_copy(
        update={
            "rate_limit_enabled": True,
            "rate_limit_default": "3/hour; 9/day",
            "rate_limit_resources": "1000/hour",
            "trusted_proxies": [ip_network("127.0.0.1")],
            "metrics_allowed": [ip_network("::/0")],
            "supabase_jwt_secret": SecretStr(SECRET),
        }
    )


@pytest.fixture
async def api(limited: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    async with serving(limited) as client:
        yield client


@pytest.fixture
def origin() -> dict[str, str]:
    return {"X-Forwarded-For": new_address()}


async def statuses(api: httpx2.AsyncClient, headers: dict[str, str], *, requests: int = 4) -> list[int]:
    return [(await api.get("/api/nothing", headers=headers)).status_code for _ in range(requests)]


async def test_responses_report_remaining_requests(api: httpx2.AsyncClient, origin: dict[str, str]) -> None:
    left = [(await api.get("/api/nothing", headers=origin)).headers["RateLimit-Remaining"] for _ in range(3)]
    assert left == ["2", "1", "0"]
    response = await api.get("/api/events/types", headers=origin)
    assert response.headers["RateLimit-Limit"] == "1000"
    assert 0 < int(response.headers["RateLimit-Reset"]) <= 3600
    assert response.headers["RateLimit-Policy"] == "1000;w=3600"


async def test_fast_path_reports_remaining_requests(limited: Settings, sample_index: None) -> None:
    """Our server sends this as one raw message."""
    limits = {"RATE_LIMIT_ENABLED": "true", "TRUSTED_PROXIES": "127.0.0.1", "RATE_LIMIT_RECOMMENDATIONS": "5/hour"}
    headers = {"X-Forwarded-For": new_address()}
    async with (
        serve_process(limited, port=None, **limits) as serving,
        httpx2.AsyncClient(base_url=serving.url) as client,
    ):
        responses = [await client.post("/api/v2/recommendations", headers=headers, json={}) for _ in range(3)]
    left = [response.headers["RateLimit-Remaining"] for response in responses]
    assert left == ["4", "3", "2"]


async def test_excess_request_gets_429_without_retry_words(api: httpx2.AsyncClient, origin: dict[str, str]) -> None:
    assert await statuses(api, origin) == [404, 404, 404, 429]
    response = await api.get("/api/nothing", headers={**origin, "X-Request-ID": "the-fifth"})
    assert response.headers["RateLimit-Remaining"] == "0"
    assert response.headers["RateLimit-Policy"] == "3;w=3600, 9;w=86400"
    assert 0 < int(response.headers["Retry-After"]) <= 7200
    body, seconds = response.json(), response.headers["Retry-After"]
    assert body == {
        "success": False,
        "error": f"You have made too many requests. Please wait {seconds} seconds and try again.",
        "code": "too_many_requests",
        "request_id": "the-fifth",
    }
    assert not any(word in body["error"].lower() for word in RETRIED_WORDS)


async def test_user_is_one_client_at_all_addresses(api: httpx2.AsyncClient) -> None:
    credentials = {"Authorization": f"Bearer {token(sub=new_address())}"}
    seen = [
        (await api.get("/api/nothing", headers={**credentials, "X-Forwarded-For": new_address()})).status_code
        for _ in range(4)
    ]
    assert seen == [404, 404, 404, 429]


async def test_users_at_one_address_are_separate_clients(api: httpx2.AsyncClient, origin: dict[str, str]) -> None:
    for _ in range(2):
        credentials = {"Authorization": f"Bearer {token(sub=new_address())}"}
        assert await statuses(api, {**origin, **credentials}, requests=3) == [404] * 3


async def test_forged_token_is_no_new_client(api: httpx2.AsyncClient, origin: dict[str, str]) -> None:
    seen = [
        (await api.get("/api/nothing", headers={**origin, "Authorization": f"Bearer forged.{n}.x"})).status_code
        for n in range(4)
    ]
    assert seen == [404, 404, 404, 429]


async def test_ipv6_network_is_one_client(api: httpx2.AsyncClient, origin: dict[str, str]) -> None:
    network = origin["X-Forwarded-For"].removesuffix("1")
    seen = [
        (await api.get("/api/nothing", headers={"X-Forwarded-For": f"{network}{n}"})).status_code for n in range(1, 5)
    ]
    assert seen == [404, 404, 404, 429]


async def test_rotating_networks_share_wider_limits(api: httpx2.AsyncClient) -> None:
    """Each request comes from another /64 network of one /48, which may send 16 times 3 requests an hour."""
    parts = new_address().split(":")[:3]
    seen = [
        (await api.get("/api/nothing", headers={"X-Forwarded-For": f"{':'.join(parts)}:{number:x}::1"})).status_code
        for number in range(NETWORK_FACTOR * 3 + 2)
    ]
    assert seen == [404] * NETWORK_FACTOR * 3 + [429] * 2


async def test_addresses_with_equal_hashes_are_not_compared(
    api: httpx2.AsyncClient, origin: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's hashes of numbers are modulo a prime."""
    first = IPv6Address(origin["X-Forwarded-For"])
    addresses = [first + number * sys.hash_info.modulus for number in range(20)]
    assert len({hash(address) for address in addresses}) == 1
    compared, equals = 0, IPv6Address.__eq__

    def count_and_compare(address: IPv6Address, other: object) -> bool:
        nonlocal compared
        compared += 1
        return equals(address, other)

    monkeypatch.setattr(IPv6Address, "__eq__", count_and_compare)
    for address in addresses:
        await api.get("/api/nothing", headers={"X-Forwarded-For": str(address)})
    assert compared == 0


async def test_probes_and_preflights_are_unlimited(api: httpx2.AsyncClient, origin: dict[str, str]) -> None:
    await statuses(api, origin)
    assert (await api.get("/livez", headers=origin)).status_code == 200
    assert (await api.get("/metrics", headers=origin)).status_code == 200
    preflight = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}
    assert (await api.options("/api/events", headers={**origin, **preflight})).status_code == 200


async def test_requests_pass_unlimited_without_redis(limited: Settings, origin: dict[str, str]) -> None:
    async with silent_server() as port:
        for url in (f"redis://127.0.0.1:{port}/0", "redis://127.0.0.1:1/0"):
            async with serving(limited.model_copy(update={"redis_url": url})) as api:
                response = await api.get("/api/nothing", headers=origin)
                assert response.status_code == 404
                assert "RateLimit-Limit" not in response.headers


async def test_rate_limits_can_be_disabled(settings: Settings, origin: dict[str, str]) -> None:
    off = settings.model_copy(update={"rate_limit_enabled": False, "rate_limit_default": "1/hour"})
    async with serving(off) as api:
        assert await statuses(api, origin) == [404] * 4


async def test_concurrent_burst_stays_within_rate(limited: Settings, origin: dict[str, str]) -> None:
    """There are fewer Redis connections than requests: those that get none in time pass uncounted."""
    async with serving(limited) as api:
        responses = await asyncio.gather(*(api.get("/api/nothing", headers=origin) for _ in range(200)))
    assert {response.status_code for response in responses} <= {404, 429}
    assert sum(response.status_code == 404 and "RateLimit-Limit" in response.headers for response in responses) <= 3
