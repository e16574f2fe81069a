"""A port that several processes serve, each listening on a socket of its own: so the kernel spreads connections.

From a socket that they share, the process that wakes first takes all the connections that wait; and gateways keep
theirs open for hours, so that the others would have nothing to do.
"""

import socket

Address = tuple[str | int, ...]


class PortInUse(Exception):  # noqa: N818  # nothing is broken
    """By another server of several processes, which may not listen yet."""


def acquire_port_lock(host: str, port: int) -> socket.socket:
    """Keeps the port for whoever holds this, until it ends. Raises PortTaken.

    Two that are bound and don't listen yet don't keep each other away: the kernel lets them be bound alike.
    """
    held = socket.socket(socket.AF_UNIX)
    try:
        # A name of the kernel's own, which leaves no file.
        held.bind(f"\0smarttrip {host} {port}")
    except OSError as error:
        held.close()
        raise PortInUse from error
    return held


class ReusePortSocket(socket.socket):
    """Held by the parent, which never listens. The processes that it is handed to get one that is bound alike."""

    def __init__(self, bound: socket.socket) -> None:
        """Takes over `bound`, which was the first on its port."""
        super().__init__(fileno=bound.detach())
        # Not before it is bound: two servers must not have the same port.
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)

    def __reduce__(self) -> tuple[object, ...]:
        return _bind_reuseport, (self.family, self.getsockname())


def _bind_reuseport(family: socket.AddressFamily, address: Address) -> socket.socket:
    own = socket.socket(family)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    own.bind(address)
    return own
