"""Short ways to answers that this process holds, past routing and validation, which cost more than such an answer."""

from collections.abc import Set

from starlette.types import ASGIApp, Receive, Scope, Send

from app.http.requests import MAX_BODY
from app.state import read_body


class CachedFastPathMiddleware:
    def __init__(self, app: ASGIApp, post_paths: Set[str]) -> None:
        """`post_paths` are those of the POST endpoints whose requests are looked up by their body."""
        self.app = app
        self._post_paths = post_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = None
        if scope["type"] == "http":
            state = scope["state"]
            if scope["method"] == "GET":
                answer = state["cached_gets"].answer(scope)
            elif scope["method"] == "POST" and scope["path"] in self._post_paths:
                answer = state["cached_searches"].answer(scope, await read_body(state, receive, MAX_BODY))
        await (answer or self.app)(scope, receive, send)
