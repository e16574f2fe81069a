"""What the indexer refuses, in sentences for the person who asked."""

from collections.abc import Collection


class Refusal(Exception):  # noqa: N818  # what was asked for is refused; nothing is broken
    """Base of the refusals; the message is a whole sentence."""


class ReindexRunning(Refusal):
    def __init__(self) -> None:
        super().__init__("A reindex or a rollback is already running; one at a time.")


class ReindexMismatch(Refusal):
    def __init__(self, differences: list[str]) -> None:
        super().__init__(f"The new index differs from Postgres and was not put in use: {'; '.join(differences)}.")
        self.differences = differences


class NoPreviousIndex(Refusal):
    def __init__(self) -> None:
        super().__init__("There is no previous index that is still kept up to date; run a reindex instead.")


class AliasIsIndex(Refusal):
    def __init__(self, alias: str) -> None:
        super().__init__(f'"{alias}" is an index, not an alias; remove it or choose another ELASTICSEARCH_ALIAS.')


class AliasOfSeveral(Refusal):
    def __init__(self, alias: str, names: Collection[str]) -> None:
        found = " and ".join(sorted(names))
        super().__init__(f'"{alias}" should be an alias of one index, not of {found}; remove it from all but one.')


class Untrusted(Refusal):
    """The index must not be written to as it is; changes wait."""


class NoLiveIndex(Untrusted):
    def __init__(self) -> None:
        super().__init__("There is no index yet; changes wait until one has been built.")


class OtherDocuments(Untrusted):
    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is made of documents of another version of this program; changes wait for a reindex.")


class ForeignIndex(Untrusted):
    def __init__(self, name: str, fault: str) -> None:
        super().__init__(f"{name} can't be trusted, {fault}; changes wait for a reindex.")


class IndexUnavailable(Refusal):
    def __init__(self, reason: str) -> None:
        super().__init__(f"Elasticsearch takes no documents: {reason}.")
