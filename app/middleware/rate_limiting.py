"""Middleware that enforces rate limits and reports them in the RateLimit headers."""

from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.rate_limiter import RateLimiter, RateLimitGroup
from app.http.errors import rate_limited
from app.http.raw_response import RESPONSE_STARTS, add_headers, is_public
from app.state import ApiRequest, current_client_ip, current_identity


class RateLimitMiddleware:
    def __init__(self, app: ASGIApp, group_of: Callable[[str, str], RateLimitGroup | None]) -> None:
        """`group_of` returns the group of a method and a path, None where requests are not counted."""
        self.app = app
        self._group_of = group_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        group = self._group_of(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if group is None:
            await self.app(scope, receive, send)
            return
        limiter: RateLimiter = scope["state"]["rate_limiter"]
        result = await limiter.check(group, *rate_limit_keys(Request(scope)))
        if result is None:
            await self.app(scope, receive, send)
            return
        headers = result.headers
        if not result.allowed:
            raise rate_limited(result.retry_after, headers)

        encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

        async def send_with_limits(message: Message) -> None:
            if message["type"] in RESPONSE_STARTS and not is_public(message):
                add_headers(message, encoded)
            await send(message)

        await self.app(scope, receive, send_with_limits)


def rate_limit_keys(request: ApiRequest) -> tuple[str, str | None]:
    """Return the client whose requests are counted together, and the network that is counted with wider limits.

    The client is the user, or else the address; of an IPv6 address the /64 network, since all its addresses belong to
    one client. Many clients have a /48 network, and can send each request from another /64: it is the network.
    """
    user = current_identity(request).user
    if user is not None:
        # A digest: Redis stores no id of a person.
        return f"user:{sha256(user.encode()).hexdigest()[:32]}", None
    # Hashes of bytes are salted; those of addresses are known, and one network has thousands that are equal.
    return _address_keys(current_client_ip(request).packed)


@lru_cache(maxsize=4096)
def _address_keys(packed: bytes) -> tuple[str, str | None]:
    address = ip_address(packed)
    if isinstance(address, IPv6Address):
        return f"address:{_network(address, 64)}", f"network:{_network(address, 48)}"
    return f"address:{address}", None


def _network(address: IPv6Address, bits: int) -> str:
    return str(ip_network((address, bits), strict=False).network_address)
