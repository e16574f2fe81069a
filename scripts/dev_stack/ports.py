"""Free ports of the loopback interface."""

import os
import random
import socket
from collections import deque

from scripts.ports import is_free

# The kernel hands out ports from 32768 up to outgoing connections: one of those could be taken at any moment.
PORTS = range(20000, 32768)

MAX_RESERVED = 100
"""Ports that this process reserves; the oldest reservation ends when there are more."""
_reserved: deque[int] = deque()
"""File descriptors of the sockets that reserve a port."""


def free_port(preferred: int | None = None) -> int:
    """Return the preferred port if it is free, or a random free one of PORTS that no other call returns meanwhile."""
    if preferred is not None and is_free(preferred):
        return preferred
    return next(port for port in iter(lambda: random.choice(PORTS), None) if _reserve(port))


def _reserve(port: int) -> bool:
    """Bind a socket to the port, unless another one is. A server with SO_REUSEADDR, as all have, can still listen."""
    with socket.socket() as reservation:
        try:
            reservation.bind(("127.0.0.1", port))
        except OSError:
            return False
        # Set after binding, which therefore fails if another process has reserved the port.
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if len(_reserved) == MAX_RESERVED:
            os.close(_reserved.popleft())
        _reserved.append(reservation.detach())
    return True
