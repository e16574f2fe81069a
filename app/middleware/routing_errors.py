"""Innermost middleware: respond to the router's errors, so that the others add their headers to these responses too.

Starlette's ExceptionMiddleware does the same, and wraps `receive` and `send` of every request.
"""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from app.http.errors import from_http_exception
from app.http.pages import render_error


class RoutingErrorMiddleware:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond 404 where no route matches, and 405 where none has the method."""
        try:
            await self.app(scope, receive, send)
        except HTTPException as error:
            context = scope["state"]["context"]
            await render_error(from_http_exception(error), context.id, context.headers)(scope, receive, send)
