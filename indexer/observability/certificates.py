"""When the certificates of the servers end that this process reaches over TLS."""

import asyncio
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NoReturn
from urllib.parse import urlsplit

import structlog
from cryptography import x509

from core.configuration.postgres_url import parse_postgres_url
from core.configuration.redis_url import parse_sentinel_url
from core.configuration.settings import Settings
from core.metrics.labels import with_values
from indexer import metrics

log = structlog.get_logger()

PERIOD_SECONDS = 3600.0
CONNECT_SECONDS = 5.0

SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
"""Packet with which a client of Postgres asks for TLS; the server answers S or N."""

FAILURES = (OSError, EOFError, ValueError, RuntimeError)
"""What a server raises that is down, closes the connection, or speaks another protocol; RuntimeError is uvloop's."""

DEFAULT_PORTS = {"postgres": 5432, "redis": 6379, "elasticsearch": 9200}
with_values(metrics.CERTIFICATE_END, DEFAULT_PORTS)


@dataclass(frozen=True)
class Address:
    server: str
    host: str
    port: int


async def watch_certificates(settings: Settings, *, period_seconds: float = PERIOD_SECONDS) -> NoReturn:
    """Record the first end of each server's certificates periodically, until cancelled; 0 stands for no TLS."""
    while True:
        await record_certificates(settings)
        await asyncio.sleep(period_seconds)


async def record_certificates(settings: Settings) -> None:
    """Record the ends of the addresses that respond; what no address of a server tells stays as it was."""
    for server, addresses in groupby(tls_addresses(settings), key=lambda address: address.server):
        ends = [end for address in addresses if (end := await _end_or_none(address)) is not None]
        if ends:
            metrics.CERTIFICATE_END.labels(server).set(min(filter(None, ends), default=0))


def tls_addresses(settings: Settings) -> Iterator[Address]:
    """Yield the addresses that may speak TLS, server by server. Of Redis behind Sentinels they are the Sentinels'."""
    database_urls = (settings.database_url, settings.direct_url, *settings.database_replica_urls)
    hosts = {host: None for url in database_urls for host in parse_postgres_url(url).hosts}
    yield from (Address("postgres", host, port) for host, port in hosts if not host.startswith("/"))
    yield from (Address("redis", host, port) for host, port in _redis_hosts(settings.redis_url))
    for url in settings.elasticsearch_url.split(","):
        parts = urlsplit(url)
        if parts.scheme == "https" and parts.hostname:
            yield Address("elasticsearch", parts.hostname, parts.port or DEFAULT_PORTS["elasticsearch"])


def _redis_hosts(url: str) -> Sequence[tuple[str, int]]:
    parts = urlsplit(url)
    if not parts.scheme.startswith("rediss"):
        return ()
    sentinels = parse_sentinel_url(url)
    if sentinels is not None:
        return sentinels.sentinels
    return ((parts.hostname or "localhost", parts.port or DEFAULT_PORTS["redis"]),)


async def _end_or_none(address: Address) -> float | None:
    """Return the end of the certificate, 0 if there is none, or None if the server does not tell."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return await certificate_end(address)
    except FAILURES as error:
        log.debug("certificate_unknown", server=address.server, host=address.host, error=type(error).__name__)
        return None


async def certificate_end(address: Address) -> float:
    """Return when the server's certificate ends, in seconds since 1970, or 0 if the connection has none.

    Raises: OSError, ValueError.
    """
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        if address.server == "postgres":
            writer.write(SSL_REQUEST)
            if await reader.readexactly(1) != b"S":
                return 0
        await writer.start_tls(_unverified(), server_hostname=address.host)
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(certificate).not_valid_after_utc.timestamp()
    finally:
        writer.close()


def _unverified() -> ssl.SSLContext:
    """Return a context that takes any certificate: its end is all that is read, and nothing is sent."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
