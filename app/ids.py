"""Names for requests and events that nobody has used before.

Nothing is guarded by them, and asking the system for randomness each time costs more than a kept answer.
"""

import os
from random import Random

_random = Random()  # noqa: S311 -- see above
# A process that is forked must not give its parent's names again.
os.register_at_fork(after_in_child=_random.seed)

VARIANTS = "89ab"


def new_hex() -> str:
    return f"{_random.getrandbits(128):032x}"


def new_id() -> str:
    """A random UUID (RFC 9562, version 4), in a third of the time that `UUID` takes for it."""
    digits = new_hex()
    variant = VARIANTS[int(digits[16], 16) % 4]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
