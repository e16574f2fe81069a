"""Middleware that responds on the fast path where it can."""

from starlette.types import ASGIApp, Receive, Scope, Send

from app.cache.fast_path import FastPath
from app.http.requests import MAX_BODY
from app.state import read_body


class FastPathMiddleware:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = None
        if scope["type"] == "http":
            state = scope["state"]
            fast_path: FastPath = state["fast_path"]
            if fast_path.may_respond(scope):
                body = b"" if scope["method"] == "GET" else await read_body(state, receive, MAX_BODY)
                response = fast_path.lookup(scope, body)
        await (response or self.app)(scope, receive, send)
