"""Why changes wait: the reasons by which batches that are put off are counted."""

from indexer import metrics
from indexer.errors import ForeignIndexError, IncompatibleDocumentsError, IndexNotWritableError, NoLiveIndexError

BY_ERROR: dict[type[IndexNotWritableError], str] = {
    NoLiveIndexError: "no_index",
    IncompatibleDocumentsError: "other_version",
    ForeignIndexError: "untrusted",
}
BY_WORD = {
    "cluster_block_exception": "blocked",
    "index_closed_exception": "closed",
    "index_not_found_exception": "missing",
    "es_rejected_execution_exception": "overloaded",
    "circuit_breaking_exception": "overloaded",
    "task_cancelled_exception": "overloaded",
    "Connection": "unreachable",
}
"""Reasons by a word of the error of Elasticsearch, the first that occurs; "Connection" begins the client's own."""

REFUSED = "refused"
"""Any other error of Elasticsearch."""

for _reason in (*BY_ERROR.values(), *BY_WORD.values(), REFUSED):
    metrics.WAITS.labels(_reason)


def reason_of(error: str) -> str:
    """Return the reason for an error of a write."""
    return next((reason for word, reason in BY_WORD.items() if word in error), REFUSED)


def count_waiting(error: IndexNotWritableError) -> None:
    """Count a batch that cannot be written to any index."""
    metrics.WAITS.labels(BY_ERROR[type(error)]).inc()


def count_put_off(errors: set[str]) -> None:
    """Count a batch of which writes failed with these errors, once for each reason."""
    for reason in {reason_of(error) for error in errors}:
        metrics.WAITS.labels(reason).inc()
