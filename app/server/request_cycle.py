"""A request and its response: uvicorn's, with the raw-response extension (`app/http/raw_response.py`)."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from app.http.raw_response import CONNECTION_CLOSE, RAW_RESPONSE_EXTENSION, encode_headers_cached


class RequestCycle(RequestResponseCycle):
    async def send(self, message: Any) -> None:
        if message["type"] != RAW_RESPONSE_EXTENSION:
            await super().send(message)
            return
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if not self.disconnected:
            self._send_raw(message)

    def _send_raw(self, message: Any) -> None:
        """Send a response whose headers are rendered; uvicorn would validate and write them one by one."""
        close = () if self.keep_alive else (CONNECTION_CLOSE,)
        server_headers = encode_headers_cached((*self.default_headers, *close))
        head = (STATUS_LINE[message["status"]], *message["head"], server_headers, b"\r\n")
        self.write_response(b"".join(head), *message["body"])

    def write_response(self, *parts: bytes | memoryview) -> None:
        """Write the whole response and complete the cycle, as uvicorn does after the last body message."""
        self.response_started = self.response_complete = True
        self.transport.writelines(parts)
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
