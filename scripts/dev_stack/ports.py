"""Free ports of the loopback interface."""

import random

from scripts.ports import is_free

# The kernel hands out ports from 32768 up to outgoing connections: one of those could be taken at any moment.
PORTS = range(20000, 32768)


def free_port(preferred: int | None = None) -> int:
    """Return the preferred port if it is free, or a random free one of PORTS."""
    if preferred is not None and is_free(preferred):
        return preferred
    return next(port for port in iter(lambda: random.choice(PORTS), None) if is_free(port))
