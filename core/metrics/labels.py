"""Declare the label values of metrics: every series exists from the start, at 0, and their number is bounded.

`increase()` sees the first event only of a series that existed before it.
"""

from collections.abc import Iterable
from itertools import product
from typing import TypeVar

from prometheus_client.metrics import MetricWrapperBase

import core.metrics.files  # noqa: F401  # before the first metric

Metric = TypeVar("Metric", bound=MetricWrapperBase)

OTHER = "other"
"""Value of a label for what has no value of its own."""


def with_values(metric: Metric, *values: Iterable[object]) -> Metric:
    """Create the series of all combinations of these values, given for each label; return the metric."""
    return with_series(metric, product(*values))


def with_series(metric: Metric, series: Iterable[tuple[object, ...]]) -> Metric:
    """Create these series, each given by its label values; return the metric."""
    for values in series:
        metric.labels(*values)
    return metric


def error_label(error: BaseException, kinds: Iterable[type[BaseException]]) -> str:
    """Return the name of the first of these kinds that the error is one of."""
    return next((kind.__name__ for kind in kinds if isinstance(error, kind)), OTHER)


def error_labels(kinds: Iterable[type[BaseException]]) -> list[str]:
    """Return the values that `error_label` returns for these kinds."""
    return [*(kind.__name__ for kind in kinds), OTHER]
