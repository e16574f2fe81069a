"""Free ports of the loopback."""

import random
import socket

# The kernel hands out ports from 32768 up to outgoing connections: one of those could be taken at any moment.
PORTS = range(20000, 32768)


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            return False
    return True


def free_port(preferred: int | None = None) -> int:
    if preferred is not None and is_free(preferred):
        return preferred
    return next(port for port in iter(lambda: random.choice(PORTS), None) if is_free(port))
