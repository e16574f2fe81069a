"""Ends of certificates, of servers with TLS that the test runs itself."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from indexer.observability.certificates import FAILURES, SSL_REQUEST, certificate_end
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


@pytest.mark.parametrize("url", ["https://user:secret@127.0.0.1:{}", "rediss://127.0.0.1:{}/0"])
async def test_end_is_read_of_a_server_with_tls(url: str) -> None:
    async with tls_server() as port:
        end = await certificate_end("elasticsearch", url.format(port))
    assert end == end_of_certificate().timestamp()
    assert datetime.fromtimestamp(end, UTC) == end_of_certificate()


async def test_end_is_read_of_a_postgres_with_tls() -> None:
    async with tls_server(postgres=True) as port:
        end = await certificate_end("postgres", f"postgresql+asyncpg://app@127.0.0.1:{port}/x")
    assert end == end_of_certificate().timestamp()


async def test_postgres_without_tls_has_no_end() -> None:
    async with tls_server(postgres=True, refuses=True) as port:
        assert await certificate_end("postgres", f"postgresql+asyncpg://app@127.0.0.1:{port}/x") is None


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "redis://127.0.0.1:9/0", "unix:///run/redis.sock"])
async def test_connection_without_tls_has_no_end(url: str) -> None:
    assert await certificate_end("redis", url) is None


async def test_server_that_closes_the_connection_fails_as_expected() -> None:
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(close, "127.0.0.1", 0) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(FAILURES):
            await certificate_end("postgres", f"postgresql+asyncpg://app@{address}/x")
        with pytest.raises(FAILURES):
            await certificate_end("redis", f"rediss://{address}/0")
