"""SO_REUSEPORT: worker processes serve one port, each on a socket of its own, and the kernel spreads connections.

With one shared socket, the process that wakes first accepts every waiting connection. Gateways keep connections open
for hours, so the other processes would stay idle.
"""

import socket

Address = tuple[str | int, ...]


class PortInUse(Exception):  # noqa: N818  # nothing is broken
    """Another multi-process server has the port, although it may not listen yet."""


def acquire_port_lock(host: str, port: int) -> socket.socket:
    """Return a lock on the port, released by closing it or by the end of the process. Raises: PortInUse.

    Needed because the kernel lets two servers bind a port with SO_REUSEPORT.
    """
    lock = socket.socket(socket.AF_UNIX)
    try:
        # An abstract name, which leaves no file behind.
        lock.bind(f"\0smarttrip {host} {port}")
    except OSError as error:
        lock.close()
        raise PortInUse from error
    return lock


class ReusePortSocket(socket.socket):
    """Bound but never listening, in the parent process. Unpickled in a child, it is another socket on the same port."""

    def __init__(self, bound: socket.socket) -> None:
        """Take over `bound`, the first socket on its port."""
        super().__init__(fileno=bound.detach())
        # Set after binding, which therefore fails if another server has the port.
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)

    def __reduce__(self) -> tuple[object, ...]:
        return _bind_reuseport, (self.family, self.getsockname())


def _bind_reuseport(family: socket.AddressFamily, address: Address) -> socket.socket:
    bound = socket.socket(family)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(address)
    return bound
