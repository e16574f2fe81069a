"""Cache invalidation: the kinds of rows, and the message that the worker publishes when rows change."""

from typing import Final, Literal, get_args

from pydantic import BaseModel

EntityKind = Literal["occurrence", "template", "company", "guide", "country", "tag", "type"]
"""Kind of a changed row; a departure is an `occurrence` in the database."""

ALL_KINDS: frozenset[EntityKind] = frozenset(get_args(EntityKind))

DEPARTURE: Final = "occurrence"

EVERYTHING: Final = "all"
"""Kind of an outbox row that stands for every row of every kind, including rows that Postgres no longer has: a
TRUNCATE writes one."""

CHANNEL_PREFIX = "smarttrip:changes"


def channel(database: int) -> str:
    """Return the pub/sub channel for clients of a Redis database: channels are shared by all databases of a server."""
    return f"{CHANNEL_PREFIX}:{database}"


class InvalidationMessage(BaseModel):
    generation: int
    """Number of the change. Consecutive: a gap means that messages were lost."""
    kinds: list[str]
    """Kinds of the changed rows. A newer worker may send kinds that this process does not have."""
