"""Names for requests and events that nobody has used before.

Nothing is guarded by them, and asking the system for randomness each time costs more than a kept answer.
"""

import os
from random import Random
from uuid import UUID

_random = Random()  # noqa: S311 -- see above
# A process that is forked must not give its parent's names again.
os.register_at_fork(after_in_child=_random.seed)


def new_id() -> UUID:
    return UUID(int=_random.getrandbits(128), version=4)


def new_hex() -> str:
    """As random as `new_id`, in a fourth of the time."""
    return f"{_random.getrandbits(128):032x}"
