"""The worker's HTTP endpoints: liveness, readiness and metrics."""

import asyncio
import time
from collections.abc import Sequence

from aiohttp import web
from prometheus_client import generate_latest

from core.process_metrics import report_process
from indexer.feed.consumer import OutboxConsumer

STUCK_AFTER_SECONDS = 20.0
"""Time without progress after which the worker is not ready, though alive."""


async def run_health_server(host: str, port: int, consumers: Sequence[OutboxConsumer]) -> None:
    """Serve `/livez`, `/readyz` and `/metrics` until cancelled."""

    async def ready(request: web.Request) -> web.Response:
        idle = time.monotonic() - min(consumer.progressed_at for consumer in consumers)
        is_stuck = idle >= STUCK_AFTER_SECONDS
        body = {"status": "stuck" if is_stuck else "ok", "seconds_since_progress": round(idle, 1)}
        return web.json_response(body, status=503 if is_stuck else 200)

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
    report_process()
    return web.Response(body=generate_latest(), content_type="text/plain", charset="utf-8")
