"""When the certificates of the servers end that this process reaches over TLS."""

import asyncio
import ssl
from collections.abc import Mapping
from typing import NoReturn
from urllib.parse import urlsplit

import structlog
from cryptography import x509

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


async def watch_certificates(settings: Settings, *, period_seconds: float = PERIOD_SECONDS) -> NoReturn:
    """Record the ends periodically, until cancelled; 0 stands for a server without TLS."""
    while True:
        for server, url in _urls(settings).items():
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    metrics.CERTIFICATE_END.labels(server).set(await certificate_end(server, url) or 0)
            except FAILURES as error:
                log.debug("certificate_unknown", server=server, error=type(error).__name__)
        await asyncio.sleep(period_seconds)


def _urls(settings: Settings) -> Mapping[str, str]:
    first, *_ = settings.elasticsearch_url.split(",")
    return {"postgres": settings.database_url, "redis": settings.redis_url, "elasticsearch": first}


async def certificate_end(server: str, url: str) -> float | None:
    """Return when the server's certificate ends, in seconds since 1970, or None if the connection has none.

    Raises: OSError, ValueError.
    """
    parts = urlsplit(url)
    is_postgres = server == "postgres"
    if not parts.hostname or (not is_postgres and parts.scheme not in ("https", "rediss")):
        return None
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or DEFAULT_PORTS[server])
    try:
        if is_postgres:
            writer.write(SSL_REQUEST)
            if await reader.readexactly(1) != b"S":
                return None
        await writer.start_tls(_unverified(), server_hostname=parts.hostname)
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
