"""Client addresses: the peer's, or behind trusted proxies the one that they report."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from pydantic import IPvAnyNetwork
from starlette.datastructures import Headers

from core.configuration.settings import Settings

Address = IPv4Address | IPv6Address

UNKNOWN = IPv4Address("0.0.0.0")  # noqa: S104
"""Address of a peer that has none, as with a Unix socket."""

MAX_HOPS = 16
"""Entries of X-Forwarded-For that are read, from the end."""

FORWARDED_NODE = re.compile(r'for="?(?P<node>[^;,"\s]*)', re.IGNORECASE)
"""A client in the header Forwarded (RFC 7239)."""

MAX_ADDRESS = 64
"""Characters of an address with brackets, zone and port; longer texts are none, and are not cached."""


def client_ip(headers: Headers, settings: Settings, peer: str | None) -> Address:
    """Return the client's address: `peer`, or what trusted proxies report in X-Forwarded-For."""
    trusted: Sequence[IPvAnyNetwork] = settings.trusted_proxies
    address = (parse_address(peer) if peer else None) or UNKNOWN
    if not is_in(address, trusted):
        return address
    for reported in reversed(_forwarded_for(headers)):
        hop = parse_address(reported)
        if hop is None:
            break
        address = hop
        if not is_in(address, trusted):
            break
    return address


def is_in(address: Address | None, networks: Iterable[IPvAnyNetwork]) -> bool:
    return address is not None and any(address in network for network in networks)


def reported_addresses(headers: Headers) -> list[Address | None]:
    """Return the clients that proxies report, whether these are trusted or not; None for what is no address."""
    reported = [*_forwarded_for(headers), *headers.getlist("x-real-ip")]
    for value in headers.getlist("forwarded"):
        reported += [match["node"] for match in FORWARDED_NODE.finditer(value)] or [value]
    return [parse_address(text) for text in reported if text.strip()]


def _forwarded_for(headers: Headers) -> list[str]:
    """Return the last entries of X-Forwarded-For; the nearest hop is the last one."""
    forwarded = ",".join(headers.getlist("x-forwarded-for"))
    return forwarded.rsplit(",", MAX_HOPS)[-MAX_HOPS:]


def parse_address(text: str) -> Address | None:
    """Parse an address with or without a port. An IPv4-mapped IPv6 address becomes the IPv4 address."""
    text = text.strip()
    return _parse(text) if len(text) <= MAX_ADDRESS else None


@lru_cache(maxsize=4096)
def _parse(text: str) -> Address | None:
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        # An address with a zone is valid on the sender's machine only.
        return None if address.scope_id else address.ipv4_mapped or address
    return address
