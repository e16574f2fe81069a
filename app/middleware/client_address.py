"""Whose request it is: the peer's address, or behind trusted proxies the one that they report."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from pydantic import IPvAnyNetwork
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

Address = IPv4Address | IPv6Address

UNKNOWN = IPv4Address("0.0.0.0")  # noqa: S104
"""The peer of a socket that has no address."""

MAX_HOPS = 16
"""Proxies that a request may have come through; what is further away is not looked at."""


class ClientAddress:
    def __init__(self, app: ASGIApp, trusted_proxies: Iterable[IPvAnyNetwork]) -> None:
        self.app = app
        self._trusted = tuple(trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["state"]["client_address"] = str(self._address(scope))
        await self.app(scope, receive, send)

    def _address(self, scope: Scope) -> Address:
        peer = parse_address(scope["client"][0]) if scope.get("client") else None
        address = peer or UNKNOWN
        if not self._is_trusted(address):
            return address
        for reported in reversed(_hops(scope)):
            hop = parse_address(reported)
            if hop is None:
                break
            address = hop
            if not self._is_trusted(address):
                break
        return address

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def _hops(scope: Scope) -> list[str]:
    """The nearest ones, nearest last."""
    forwarded = ",".join(Headers(scope=scope).getlist("x-forwarded-for"))
    return forwarded.rsplit(",", MAX_HOPS)[-MAX_HOPS:]


@lru_cache(maxsize=4096)
def parse_address(text: str) -> Address | None:
    """An address, with a port or without; an IPv4 one written as IPv6 becomes what it is."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        # A zone is a name of the sender's own; it means nothing here.
        return None if address.scope_id else address.ipv4_mapped or address
    return address
