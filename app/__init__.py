"""The HTTP API: `main.py` builds the application, `lifespan.py` its process state."""

import core.lean_imports
import core.metrics.files  # noqa: F401  # before the first metric
