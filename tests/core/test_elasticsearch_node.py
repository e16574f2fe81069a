"""One of several nodes that stalls: requests go to another one, and do not wait for their timeout."""

import pytest
from elasticsearch import AsyncElasticsearch

from core import clients
from core.configuration.settings import Settings
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy, Mode

SECONDS = 20
"""Timeout of a request."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.elasticsearch_node.PATIENCE_SECONDS", 0.1)


def bytes_sent(*proxies: FaultProxy) -> bytes:
    return b"".join(bytes(connection.sent) for proxy in proxies for connection in proxy.connections)


async def send_one_to_each(client: AsyncElasticsearch) -> None:
    for _ in range(2):
        await client.cluster.health(local=True)


@pytest.mark.parametrize("mode", [Mode.STALL, Mode.MUTE])
async def test_node_that_stalls_is_left_out_until_it_responds(settings: Settings, mode: Mode) -> None:
    async with FaultProxy(settings.elasticsearch_url) as stalling:
        urls = f"{stalling.url},{settings.elasticsearch_url}"
        async with clients.elasticsearch(urls, timeout=SECONDS, max_retries=0) as client:
            await send_one_to_each(client)
            assert bytes_sent(stalling)
            await stalling.switch(mode)
            await send_one_to_each(client)
            await stalling.switch(Mode.PASS)
            before = bytes_sent(stalling)

            async def is_used_again() -> bool:
                await send_one_to_each(client)
                return bytes_sent(stalling) != before

            await eventually(is_used_again, within=60)


async def test_request_that_takes_long_is_sent_once(settings: Settings) -> None:
    async with FaultProxy(settings.elasticsearch_url) as first, FaultProxy(settings.elasticsearch_url) as second:
        async with clients.elasticsearch(f"{first.url},{second.url}", timeout=SECONDS) as client:
            waiting = client.options(ignore_status=408).cluster.health(wait_for_nodes="99", timeout="500ms")
            assert (await waiting)["timed_out"]
        sent = bytes_sent(first, second)
        assert sent.count(b"wait_for_nodes") == 1
        assert sent.count(b"HEAD /") > 0
