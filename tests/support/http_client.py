"""Clients of local servers."""

from ssl import PROTOCOL_TLS_CLIENT, SSLContext

import httpx2

NO_AUTHORITIES = SSLContext(PROTOCOL_TLS_CLIENT)
"""For plain HTTP: loading the certificates of authorities would take 70 ms of CPU for each client."""


def http_client(url: str, *, timeout: float = 5.0) -> httpx2.AsyncClient:
    """Return a client of the server at `url`; `timeout` is in seconds."""
    return httpx2.AsyncClient(base_url=url, verify=NO_AUTHORITIES, timeout=timeout)
