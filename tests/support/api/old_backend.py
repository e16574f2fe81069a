"""A stand-in for the platform's old backend, which cannot be had: one trip by the contract, no headers of ours."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from scripts.dev_stack.ports import free_port

TRIP = {"id": 1, "match_score": 64.0, "template": None}
SERVER = "old"
"""Its header `X-Backend`."""


@dataclass
class OldBackend:
    port: int
    bodies: list[object] = field(default_factory=list)
    """Of the searches that it received."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def old_backend(*statuses: int) -> AsyncIterator[OldBackend]:
    """Serve searches; answer the first ones with these statuses."""
    backend = OldBackend(free_port())
    left = list(statuses)

    async def recommend(request: web.Request) -> web.Response:
        backend.bodies.append(await request.json())
        if left:
            return web.json_response({"success": False}, status=left.pop(0), headers={"Retry-After": "0"})
        body = {"success": True, "count": 1, "total_candidates": 1, "data": [TRIP]}
        return web.json_response(body, headers={"X-Backend": SERVER})

    application = web.Application()
    application.router.add_post("/api/v2/recommendations", recommend)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", backend.port).start()
    try:
        yield backend
    finally:
        await runner.cleanup()
