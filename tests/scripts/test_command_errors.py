"""Sentences of commands that fail."""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.request import urlopen

import aiohttp
import pytest
from elastic_transport import ConnectionTimeout
from redis.exceptions import RedisError

from core import clients
from core.configuration.postgres_url import parse_postgres_url
from core.configuration.settings import Settings
from core.postgres.connection import connect
from scripts.commands.errors import describe_error
from scripts.connection_failures import NO_RESPONSE, REFUSED, describe_failure
from scripts.errors import ExitCode
from tests.support.command import environment, smarttrip


@pytest.mark.parametrize(
    ("error", "server"),
    [(TimeoutError(), "Postgres"), (RedisError(), "Redis"), (ConnectionTimeout(""), "Elasticsearch")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_timeout_without_a_text_has_a_reason(error: Exception, server: str) -> None:
    described = describe_error(error)
    assert described is not None
    assert described.code == ExitCode.NOT_RUNNING
    assert described.sentence.startswith(f"{server} is unreachable: ")
    assert not described.sentence.endswith(": ")


async def call_postgres(address: str) -> None:
    await connect(parse_postgres_url(f"postgresql://nobody:wrong@{address}/none"), seconds=5)


async def call_redis(address: str) -> None:
    async with clients.redis(f"redis://:wrong@{address}/0", timeout=5) as client:
        await client.ping()


async def call_elasticsearch(address: str) -> None:
    async with clients.elasticsearch(f"http://{address}", timeout=5, max_retries=0) as client:
        await client.info()


async def get_with_aiohttp(address: str) -> None:
    async with aiohttp.ClientSession() as client, client.get(f"http://{address}/"):
        pass


async def get_with_urllib(address: str) -> None:
    await asyncio.to_thread(urlopen, f"http://{address}/")


CALLS = (call_postgres, call_redis, call_elasticsearch, get_with_aiohttp, get_with_urllib)
Call = Callable[[str], Awaitable[None]]


async def failure_of(call: Call, address: str) -> Exception:
    try:
        await call(address)
    except Exception as error:  # noqa: BLE001 -- which one it is, is what the tests are about.
        return error
    raise AssertionError("the call succeeds")


@pytest.mark.parametrize("call", CALLS)
async def test_refused_connection_is_described_alike_by_every_client(call: Call, unused_tcp_port: int) -> None:
    assert describe_failure(await failure_of(call, f"127.0.0.1:{unused_tcp_port}")) == REFUSED


@pytest.mark.parametrize("call", CALLS)
async def test_unknown_host_is_described_alike_by_every_client(call: Call) -> None:
    described = describe_failure(await failure_of(call, "host.invalid:80"))
    assert described == "the name of its host is not known"


@pytest.mark.parametrize("call", CALLS)
async def test_end_of_the_connection_is_described_without_a_text_of_the_client(call: Call) -> None:
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(close, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        described = describe_failure(await failure_of(call, f"127.0.0.1:{port}"))
    assert described in {"it closed the connection", "the connection failed", "it does not speak HTTP"}


def test_timeout_of_any_client_is_no_response() -> None:
    assert {describe_failure(error) for error in (TimeoutError(), ConnectionTimeout(""))} == {NO_RESPONSE}


WRONG_PASSWORDS = {
    "DATABASE_URL": lambda settings: clients_url(settings.database_url),
    "REDIS_URL": lambda settings: clients_url(settings.redis_url),
}


def clients_url(url: str) -> str:
    """Return the URL with a user and a password that the server does not know."""
    scheme, _, rest = url.replace("+asyncpg", "").partition("://")
    return f"{scheme}://nobody:wrong@{rest.rpartition('@')[2]}"


@pytest.mark.parametrize("setting", WRONG_PASSWORDS)
def test_wrong_password_is_a_wrong_setting(settings: Settings, setting: str) -> None:
    env = environment(
        DATABASE_URL=settings.database_url.replace("+asyncpg", ""),
        REDIS_URL=settings.redis_url,
        ELASTICSEARCH_URL=settings.elasticsearch_url,
    )
    env[setting] = WRONG_PASSWORDS[setting](settings)
    refused = smarttrip("adopt", env=env)
    assert refused.returncode == ExitCode.SETTING
    assert refused.stderr.startswith(f"{setting} is wrong: ")
    assert len(refused.stderr.splitlines()) == 1
