"""Elasticsearch as the protocol uses it: versioned writes, and tombstones of deletions that expire."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.protocol_model.postgres import Document

Changes = Mapping[int, Document | None]
"""Documents by departure; None for a departure to delete."""

GC_DELETES = 100
"""Time after which the tombstone of a deletion, which has its version, is dropped."""


class Violation(Exception):  # noqa: N818
    """An invariant that does not hold."""


@dataclass
class Index:
    documents: dict[int, Document] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)
    """Versions of documents and of tombstones."""
    deleted_at: dict[int, int] = field(default_factory=dict)
    highest: dict[int, int] = field(default_factory=dict)
    """The highest version that was ever written; for the invariants only."""

    def write(self, key: int, version: int, document: Document | None, now: int, *, versioned: bool = True) -> bool:
        """Write with version type `external_gte`: a version lower than the known one changes nothing.

        Return False if the departure goes back to an earlier version nevertheless.
        """
        if versioned and version < self._known_version(key, now):
            return True
        self.documents.pop(key, None)
        self.versions.pop(key, None)
        self.deleted_at.pop(key, None)
        if document is not None:
            self.documents[key] = document
            self.versions[key] = version
        elif versioned:
            self.versions[key] = version
            self.deleted_at[key] = now
        is_newer = version >= self.highest.get(key, 0)
        self.highest[key] = max(version, self.highest.get(key, 0))
        return is_newer

    def _known_version(self, key: int, now: int) -> int:
        if key in self.deleted_at and now > self.deleted_at[key] + GC_DELETES:
            return 0
        return self.versions.get(key, 0)
