"""A proxy that demands TLS and credentials before it forwards requests, as a secured Elasticsearch does."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientSession, web

CERTIFICATE = Path(__file__).parent / "api" / "localhost.pem"
"""Of 127.0.0.1, with its key; no authority of the machine knows it."""


@dataclass
class TlsProxy:
    port: int
    accepted: set[str]
    """Values of the header `Authorization` with which requests are forwarded."""
    refused: int = 0
    """Requests without the credentials."""
    forwarded: int = 0

    def url(self, credentials: str = "") -> str:
        """Return the address, with user and password before it if there are any."""
        return f"https://{credentials}{'@' if credentials else ''}127.0.0.1:{self.port}"


@asynccontextmanager
async def tls_proxy(server_url: str, authorization: str) -> AsyncIterator[TlsProxy]:
    """Forward requests whose header `Authorization` is this one; others get 401."""
    proxy = TlsProxy(0, {authorization})

    async def forward(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") not in proxy.accepted:
            proxy.refused += 1
            return web.json_response({"error": "missing authentication credentials", "status": 401}, status=401)
        proxy.forwarded += 1
        headers = {name: value for name, value in request.headers.items() if name not in ("Authorization", "Host")}
        async with session.request(
            request.method, f"{server_url}{request.raw_path}", data=await request.read(), headers=headers
        ) as response:
            kept = ("Content-Type", "X-Elastic-Product")
            own = {name: response.headers[name] for name in kept if name in response.headers}
            return web.Response(status=response.status, body=await response.read(), headers=own)

    application = web.Application(client_max_size=0)
    application.router.add_route("*", "/{path:.*}", forward)
    runner = web.AppRunner(application, access_log=None)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(CERTIFICATE)
    async with ClientSession() as session:
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
            await site.start()
            proxy.port = runner.addresses[0][1]
            yield proxy
        finally:
            await runner.cleanup()
