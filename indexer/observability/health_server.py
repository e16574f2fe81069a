"""The worker's own small HTTP side: whether it lives, whether it gets anywhere, and its figures."""

import asyncio
import time
from collections.abc import Sequence

from aiohttp import web
from prometheus_client import generate_latest

from indexer.feed.consumer import OutboxConsumer

STUCK_AFTER_SECONDS = 20.0
"""Without progress for so long the worker is not ready, though it lives."""


async def run_health_server(host: str, port: int, followers: Sequence[OutboxConsumer]) -> None:
    """Runs until it is cancelled."""

    async def ready(request: web.Request) -> web.Response:
        quiet = time.monotonic() - min(follower.progressed_at for follower in followers)
        body = {"status": "ok" if quiet < STUCK_AFTER_SECONDS else "stuck", "seconds_since_progress": round(quiet, 1)}
        return web.json_response(body, status=200 if quiet < STUCK_AFTER_SECONDS else 503)

    application = web.Application()
    application.add_routes([web.get("/livez", _alive), web.get("/readyz", ready), web.get("/metrics", _metrics)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


async def _alive(request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def _metrics(request: web.Request) -> web.Response:
    return web.Response(body=generate_latest(), content_type="text/plain", charset="utf-8")
