"""The HTTP side."""

import core.metric_files  # noqa: F401  # before the first metric
