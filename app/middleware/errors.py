"""The last stop of every error: expected ones become their answer, others a 500 that says nothing of the inside."""

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import ApiError, error_response

log = structlog.get_logger()

UNEXPECTED = ApiError(500, "internal", "Something went wrong on our side. Please try again.")


class Errors:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        except ApiError as error:
            refusal = error
        except Exception:
            log.exception("unexpected_error", path=scope["path"])
            if started:
                raise
            refusal = UNEXPECTED
        else:
            return
        await error_response(refusal, scope["state"]["request_id"])(scope, receive, send)
