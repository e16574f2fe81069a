"""Turns of the connections whose pipelines are longer than a slice: one of them in each turn of the event loop."""

import asyncio
from typing import Protocol


class Suspended(Protocol):
    def resume_parsing(self) -> None: ...


class ParsingTurns:
    """The connections with unparsed requests, the one that has waited for longest first.

    A slice takes the longer the more of its requests are answered at once, as rejected ones are. If each connection
    had its slice in every turn of the loop, a hundred of them would keep all others waiting for half a second.
    """

    def __init__(self) -> None:
        self._waiting: dict[Suspended, None] = {}

    def add(self, connection: Suspended) -> None:
        if not self._waiting:
            self._call_soon()
        self._waiting[connection] = None

    def _resume_next(self) -> None:
        connection = next(iter(self._waiting))
        del self._waiting[connection]
        if self._waiting:
            self._call_soon()
        connection.resume_parsing()

    def _call_soon(self) -> None:
        asyncio.get_running_loop().call_soon(self._resume_next)
