"""Wait for a condition that another process brings about."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from scripts.errors import CliError


def until(condition: Callable[[], bool], seconds: float, interval: float = 0.05) -> bool:
    """Poll the condition every `interval` seconds; return whether it became true within `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(interval)
    return True


async def wait_until(condition: Callable[[], Awaitable[bool]], seconds: float, expected: str) -> None:
    """Poll the condition without keeping the event loop. Raises: CliError after `seconds`, which names `expected`."""
    end = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > end:
            raise CliError(f"{seconds:g} s were not enough for {expected}.")
        await asyncio.sleep(0.05)


def http_ok(port: int, path: str) -> bool:
    """Return whether GET on a local port gives status 200 within two seconds."""
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
