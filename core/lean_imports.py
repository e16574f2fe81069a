"""Import packages without others that they would load but that we do not use; to be imported before all else.

The transport of Elasticsearch's client has a second one for `requests`, which would cost each process 4 MB. structlog
would print tracebacks with `rich`, which costs 8 MB with all that it loads: our logs format their own. The package of
Elasticsearch would load its blocking client beside the asynchronous one: 3.5 MB of methods that nothing here calls.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType


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


def load_asynchronous_client() -> None:
    """Load Elasticsearch's package without its blocking client, of which the asynchronous one uses a module only."""
    if "elasticsearch" in sys.modules:
        return
    package = find_spec("elasticsearch")
    assert package is not None
    assert package.submodule_search_locations is not None
    blocking = ModuleType("elasticsearch._sync.client")
    blocking.__path__ = [f"{folder}/_sync/client" for folder in package.submodule_search_locations]
    vars(blocking)["Elasticsearch"] = None
    sys.modules[blocking.__name__] = blocking
    try:
        import elasticsearch  # noqa: PLC0415  # with the placeholder
    finally:
        del sys.modules[blocking.__name__]
    # Whoever imports it finds out at once.
    del elasticsearch.Elasticsearch


with hidden_package("requests"):
    import elastic_transport  # noqa: F401
with hidden_package("rich"):
    import structlog  # noqa: F401
load_asynchronous_client()
