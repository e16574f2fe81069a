"""Ends of certificates, of servers with TLS that the test runs itself."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from prometheus_client import REGISTRY

from core.configuration.settings import Settings, load_settings
from indexer import metrics
from indexer.observability.certificates import (
    DEFAULT_PORTS,
    FAILURES,
    SSL_REQUEST,
    Address,
    certificate_end,
    record_certificates,
    tls_addresses,
)
from scripts.dev_stack.ports import free_port
from tests.support.api import __file__ as folder

CERTIFICATE = Path(folder).with_name("localhost.pem")


def end_of_certificate() -> datetime:
    return x509.load_pem_x509_certificate(CERTIFICATE.read_bytes()).not_valid_after_utc


@asynccontextmanager
async def tls_server(*, postgres: bool = False, refuses: bool = False) -> AsyncIterator[int]:
    """Serve TLS on a free port: at once, or after the request of a client of Postgres."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if postgres:
            assert await reader.readexactly(len(SSL_REQUEST)) == SSL_REQUEST
            writer.write(b"N" if refuses else b"S")
            if not refuses:
                await writer.start_tls(context)
        await ended.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=None if postgres else context)
    async with server:
        yield server.sockets[0].getsockname()[1]
        ended.set()


@pytest.mark.parametrize("server", ["elasticsearch", "redis"])
async def test_end_is_read_of_a_server_with_tls(server: str) -> None:
    async with tls_server() as port:
        end = await certificate_end(Address(server, "127.0.0.1", port))
    assert datetime.fromtimestamp(end, UTC) == end_of_certificate()


async def test_end_is_read_of_a_postgres_with_tls() -> None:
    async with tls_server(postgres=True) as port:
        end = await certificate_end(Address("postgres", "127.0.0.1", port))
    assert end == end_of_certificate().timestamp()


async def test_postgres_without_tls_has_no_end() -> None:
    async with tls_server(postgres=True, refuses=True) as port:
        assert await certificate_end(Address("postgres", "127.0.0.1", port)) == 0


async def test_server_that_closes_the_connection_fails_as_expected() -> None:
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(close, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        for name in DEFAULT_PORTS:
            with pytest.raises(FAILURES):
                await certificate_end(Address(name, "127.0.0.1", port))


def test_certificate_is_read_from_every_address_of_every_url() -> None:
    settings = load_settings(
        database_url="postgresql://app:secret@a:1,b/x",
        database_direct_url="postgresql://app:secret@b/x",
        database_replica_urls="postgresql://c/x,postgresql:///x?host=/run/postgresql",
        redis_url="rediss+sentinel://:secret@d,e:2/main",
        elasticsearch_url="https://user:secret@f:9200,https://user:secret@g:9243",
    )
    assert [(address.server, address.host, address.port) for address in tls_addresses(settings)] == [
        ("postgres", "a", 1),
        ("postgres", "b", 5432),
        ("postgres", "c", 5432),
        ("redis", "d", 26379),
        ("redis", "e", 2),
        ("elasticsearch", "f", 9200),
        ("elasticsearch", "g", 9243),
    ]


@pytest.mark.parametrize("redis_url", ["redis://a/0", "unix:///run/redis.sock", "redis+sentinel://a/main"])
def test_connection_without_tls_is_left_out(redis_url: str) -> None:
    settings = load_settings(
        database_url="postgresql:///x?host=/run/postgresql", redis_url=redis_url, elasticsearch_url="http://b:9200"
    )
    assert list(tls_addresses(settings)) == []


async def test_earliest_end_of_the_addresses_that_respond_is_recorded(settings: Settings) -> None:
    metrics.CERTIFICATE_END.labels("elasticsearch").set(1)
    async with tls_server() as port, tls_server() as other:
        urls = f"https://127.0.0.1:{port},https://127.0.0.1:{free_port()},https://127.0.0.1:{other}"
        await record_certificates(settings.model_copy(update={"elasticsearch_url": urls}))
    recorded = REGISTRY.get_sample_value("smarttrip_certificate_expires_timestamp_seconds", {"server": "elasticsearch"})
    assert recorded == end_of_certificate().timestamp()
