"""The index, and the worker that keeps it in step (`worker.py`); `supervisor.py` has an unusable index rebuilt."""

import core.lean_imports  # noqa: F401  # before all else
