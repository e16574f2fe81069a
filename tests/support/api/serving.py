"""The application in the test's own process, behind an HTTP client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from app.main import create_app
from core.configuration.settings import Settings


@asynccontextmanager
async def serving(settings: Settings, **state_overrides: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """Start the application and yield a client; `state_overrides` replace components of its state."""
    app = create_app(settings)
    async with app.router.lifespan_context(app) as state:
        components = {**(state or {}), **state_overrides}
        transport = httpx2.ASGITransport(app=with_state(app, components), raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
            yield client


def with_state(app: Starlette, state: dict[str, Any]) -> Any:
    async def stateful(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = dict(state)
        await app(scope, receive, send)

    return stateful
