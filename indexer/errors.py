"""Operations that the indexer rejects. The messages are whole sentences for the person who requested them."""

from collections.abc import Collection


class IndexerError(Exception):
    """Base of the rejections."""


class ReindexRunningError(IndexerError):
    def __init__(self) -> None:
        super().__init__("A reindex or a rollback is already running; one at a time.")


class DirectUrlMismatchError(IndexerError):
    def __init__(self) -> None:
        super().__init__(
            "DATABASE_DIRECT_URL leads to another database than DATABASE_URL: a lock taken through the one is not seen "
            "through the other. Correct DATABASE_DIRECT_URL: nothing is started, migrated or rebuilt until then."
        )


class BatchesBlockedError(IndexerError):
    """A rebuild was aborted because it kept all batches waiting for too long."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"It blocked the synchronization for {seconds:.0f} s, so it was aborted; try again.")


class ReindexMismatchError(IndexerError):
    def __init__(self, differences: list[str]) -> None:
        super().__init__(f"The new index differs from Postgres and was not put in use: {'; '.join(differences)}.")
        self.differences = differences


class NoPreviousIndexError(IndexerError):
    def __init__(self) -> None:
        super().__init__("There is no previous index that is still kept up to date; run a reindex instead.")


class OtherReleaseIndexError(IndexerError):
    def __init__(self, name: str, document_version: str) -> None:
        super().__init__(
            f"The previous index, {name}, has documents of version {document_version}, which this release cannot read; "
            "deploy the release that made it, which uses it at once."
        )


class AliasNameTakenError(IndexerError):
    def __init__(self, alias: str) -> None:
        super().__init__(f'"{alias}" is an index, not an alias; remove it or choose another ELASTICSEARCH_ALIAS.')


class AliasAmbiguousError(IndexerError):
    def __init__(self, alias: str, names: Collection[str]) -> None:
        found = " and ".join(sorted(names))
        super().__init__(f'"{alias}" should be an alias of one index, not of {found}; remove it from all but one.')


class IndexNotWritableError(IndexerError):
    """Nothing may be written to the index in its present state; changes wait in the outbox."""


class NoLiveIndexError(IndexNotWritableError):
    def __init__(self) -> None:
        super().__init__("There is no index yet; changes wait until one has been built.")


class IncompatibleDocumentsError(IndexNotWritableError):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} has documents of another version of this program; changes wait for an index of this one."
        )


class ForeignIndexError(IndexNotWritableError):
    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} can't be trusted, {problem}; changes wait for a reindex.")


class IndexNotConformingError(IndexerError):
    def __init__(self, name: str, deviations: Collection[str]) -> None:
        super().__init__(
            f"The new index {name} cannot be used, {'; '.join(deviations)}. Exclude its name from the index templates"
            " of Elasticsearch that set this, or choose another ELASTICSEARCH_ALIAS."
        )


class IndexCreationError(IndexerError):
    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"Elasticsearch does not create the index {name}: {reason}. If an index template matches the name, exclude"
            " it there, or choose another ELASTICSEARCH_ALIAS."
        )


class DocumentsRejectedError(IndexerError):
    def __init__(self, name: str, rejected: int, reason: str) -> None:
        super().__init__(
            f"The new index {name} rejected {rejected:,} documents and was not put in use; the first: {reason}."
        )


class IndexUnavailableError(IndexerError):
    def __init__(self, reason: str) -> None:
        super().__init__(f"Elasticsearch takes no documents: {reason}.")
