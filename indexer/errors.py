"""Operations that the indexer rejects. The messages are whole sentences for the person who requested them."""

from collections.abc import Collection

from schemas.messages.message import Message


class IndexerError(Exception):
    """Base of the rejections."""

    def __init__(self, key: str, /, **values: object) -> None:
        """`key` and `values` are those of the message."""
        self.message = Message(key, **values)
        super().__init__(str(self.message))


class ReindexRunningError(IndexerError):
    def __init__(self) -> None:
        super().__init__("reindex_running")


class DirectUrlMismatchError(IndexerError):
    def __init__(self) -> None:
        super().__init__("direct_url_mismatch")


class BatchesBlockedError(IndexerError):
    """A rebuild was aborted because it kept all batches waiting for too long."""

    def __init__(self, seconds: float) -> None:
        super().__init__("batches_blocked", seconds=seconds)


class ReindexMismatchError(IndexerError):
    def __init__(self, differences: list[str]) -> None:
        super().__init__("reindex_mismatch", differences="; ".join(differences))
        self.differences = differences


class NoPreviousIndexError(IndexerError):
    def __init__(self) -> None:
        super().__init__("no_previous_index")


class OtherReleaseIndexError(IndexerError):
    def __init__(self, name: str, document_version: str) -> None:
        super().__init__("index_of_other_release", name=name, version=document_version)


class AliasNameTakenError(IndexerError):
    def __init__(self, alias: str) -> None:
        super().__init__("alias_is_index", alias=alias)


class AliasAmbiguousError(IndexerError):
    def __init__(self, alias: str, names: Collection[str]) -> None:
        super().__init__("alias_ambiguous", alias=alias, names=" and ".join(sorted(names)))


class IndexOwnedError(IndexerError):
    def __init__(self, alias: str, suggested: str) -> None:
        super().__init__("index_owned", alias=alias, suggested=suggested)


class RedisOwnedError(IndexerError):
    def __init__(self, suggested: str) -> None:
        super().__init__("redis_owned", suggested=suggested)


class RedisClusterError(IndexerError):
    def __init__(self) -> None:
        super().__init__("redis_cluster")


class IndexNotWritableError(IndexerError):
    """Nothing may be written to the index in its present state; changes wait in the outbox."""


class NoLiveIndexError(IndexNotWritableError):
    def __init__(self) -> None:
        super().__init__("no_live_index")


class IncompatibleDocumentsError(IndexNotWritableError):
    def __init__(self, name: str) -> None:
        super().__init__("incompatible_documents", name=name)


class ForeignIndexError(IndexNotWritableError):
    def __init__(self, name: str, problem: str) -> None:
        super().__init__("foreign_index", name=name, problem=problem)


class IndexNotConformingError(IndexerError):
    def __init__(self, name: str, deviations: Collection[str]) -> None:
        super().__init__("index_not_conforming", name=name, deviations="; ".join(deviations))


class IndexCreationError(IndexerError):
    def __init__(self, name: str, reason: str) -> None:
        super().__init__("index_not_created", name=name, reason=reason)


class DocumentsRejectedError(IndexerError):
    def __init__(self, name: str, rejected: int, reason: str) -> None:
        super().__init__("documents_rejected", name=name, rejected=rejected, reason=reason)


class IndexUnavailableError(IndexerError):
    def __init__(self, reason: str) -> None:
        super().__init__("index_unavailable", reason=reason)
