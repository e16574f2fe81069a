"""Cache invalidation: the kinds of rows, and the message that the worker publishes when rows change."""

from collections.abc import Sequence
from typing import Final, Literal, get_args

from msgspec import Raw, Struct
from msgspec.json import Decoder, encode

from schemas.index_document import DOCUMENT_VERSION, SearchedFields

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


class DepartureChange(Struct, frozen=True):
    """A departure before and after a write to the index; None if the index did not have it."""

    id: int
    before: SearchedFields | None
    after: SearchedFields | None


class DepartureChanges(Struct, frozen=True):
    """The changed departures of a message whose kinds name `occurrence`: all of them."""

    since: int
    """The last generation published before `before` was read; what others write in between is in a later message."""
    age: float
    """Seconds since the oldest of the changes."""
    changes: Sequence[DepartureChange]


class InvalidationMessage(Struct, frozen=True):
    generation: int
    """Number of the change. Consecutive: a gap means that messages were lost."""
    kinds: Sequence[str]
    """Kinds of the changed rows. A newer worker may send kinds that this process does not have."""
    departures: DepartureChanges | None = None
    """None if it is not known which departures changed, or if they are many."""


ABSENT = Raw()


class _SentMessage(Struct, omit_defaults=True):
    """The JSON of a message. Releases with other documents read all of it but the departures."""

    generation: int
    kinds: Sequence[str]
    document_version: int | None = None
    departures: Raw = ABSENT


def encode_message(message: InvalidationMessage) -> bytes:
    sent = _SentMessage(message.generation, message.kinds)
    if message.departures is not None:
        sent.document_version, sent.departures = DOCUMENT_VERSION, Raw(encode(message.departures))
    return encode(sent)


def decode_message(data: bytes) -> InvalidationMessage:
    """Return the message; without the departures if they have another document version.

    Raises: msgspec.DecodeError.
    """
    sent = _decode_sent(data)
    is_readable = sent.departures is not ABSENT and sent.document_version == DOCUMENT_VERSION
    return InvalidationMessage(
        sent.generation, sent.kinds, _decode_departures(sent.departures) if is_readable else None
    )


_decode_sent = Decoder(_SentMessage).decode
_decode_departures = Decoder(DepartureChanges).decode
