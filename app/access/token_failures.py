"""Tokens that were not accepted: counted by reason, and logged at most once a minute."""

from collections import Counter
from time import monotonic
from typing import Literal, get_args

import structlog
from prometheus_client import Counter as Metric

from core.metrics.labels import with_values

log = structlog.get_logger()

LOG_SECONDS = 60.0

Reason = Literal[
    "too_long",
    "malformed",
    "algorithm",
    "no_secret",
    "unknown_key",
    "signature",
    "expired",
    "not_yet_valid",
    "audience",
    "issuer",
    "claims",
]

FAILURES = with_values(
    Metric("smarttrip_token_failures_total", "Tokens that were not accepted, by reason", ["reason"]), get_args(Reason)
)


class TokenFailures:
    """Counts since the last line of the log. What comes within a minute of it is in the next one."""

    def __init__(self) -> None:
        self._counts: Counter[Reason] = Counter()
        self._logged_at = float("-inf")

    def record(self, reason: Reason) -> None:
        FAILURES.labels(reason).inc()
        self._counts[reason] += 1
        if monotonic() - self._logged_at >= LOG_SECONDS:
            log.warning("tokens_rejected", **{str(name): count for name, count in self._counts.items()})
            self._counts.clear()
            self._logged_at = monotonic()


token_failures = TokenFailures()
"""Those of the process."""
