"""Short ways to answers that this process holds, past routing and validation, which cost more than such an answer."""

from starlette.types import ASGIApp, Receive, Scope, Send

from app.http.requests import MAX_BODY
from app.recommendations.request_index import PATH
from app.state import read_body


class CachedFastPathMiddleware:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = None
        if scope["type"] == "http":
            state = scope["state"]
            if scope["method"] == "GET":
                answer = state["cached_gets"].answer(scope)
            elif scope["path"] == PATH and scope["method"] == "POST":
                answer = state["cached_searches"].answer(scope, await read_body(state, receive, MAX_BODY))
        await (answer or self.app)(scope, receive, send)
