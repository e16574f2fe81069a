"""The HTTP side."""

import core.metrics.files  # noqa: F401  # before the first metric
