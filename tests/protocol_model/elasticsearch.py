"""Elasticsearch as the protocol sees it: versioned writes, deletions that are remembered for a while, one alias."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.protocol_model.postgres import Document

Changes = Mapping[int, Document | None]
"""Documents by departure, None for those that are gone."""

DELETIONS_REMEMBERED = 100
"""How long a deletion's version is known: gc_deletes."""


class Violation(Exception):  # noqa: N818
    """A promise that was broken."""


@dataclass
class Index:
    documents: dict[int, Document] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)
    """Of documents and of remembered deletions."""
    deleted_at: dict[int, int] = field(default_factory=dict)
    highest: dict[int, int] = field(default_factory=dict)
    """The highest version that was ever written; known to nobody but the promises."""

    def write(self, key: int, version: int, document: Document | None, now: int, *, versioned: bool = True) -> bool:
        """As `external_gte` has it: what is lower than the known version changes nothing.

        False if the departure went back to an earlier version all the same.
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
        forwards = version >= self.highest.get(key, 0)
        self.highest[key] = max(version, self.highest.get(key, 0))
        return forwards

    def _known_version(self, key: int, now: int) -> int:
        if key in self.deleted_at and now > self.deleted_at[key] + DELETIONS_REMEMBERED:
            return 0
        return self.versions.get(key, 0)
