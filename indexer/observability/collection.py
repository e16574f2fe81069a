"""Metrics that no event updates: they are collected periodically."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

import structlog

from core.errors import BACKEND_ERRORS
from indexer.errors import IndexerError

log = structlog.get_logger()


async def collect_forever(collect: Callable[[], Awaitable[None]], period_seconds: float) -> NoReturn:
    """Collect periodically, until cancelled; what cannot be found out leaves the metrics as they are."""
    while True:
        try:
            await collect()
        except (IndexerError, *BACKEND_ERRORS) as error:
            log.warning("gauges_failed", error=type(error).__name__)
        await asyncio.sleep(period_seconds)
