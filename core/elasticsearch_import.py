"""Import the transport of Elasticsearch's client without `requests`; to be imported before the client.

It has a second transport for that package, which is not used and would cost each process 4 MB.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hidden_package(name: str) -> Iterator[None]:
    """Let imports in the block not find a package, unless it is imported already."""
    hides = name not in sys.modules
    if hides:
        sys.modules[name] = None  # type: ignore[assignment]  # as the import system documents it
    try:
        yield
    finally:
        if hides:
            del sys.modules[name]


with hidden_package("requests"):
    import elastic_transport  # noqa: F401
