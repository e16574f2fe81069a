"""Packages that only parts of others use which we do not are not loaded for them, and are there for others."""

import subprocess
import sys

import pytest


def run(code: str) -> str:
    """Return what the code prints in a process of its own."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_package_is_hidden_in_the_block_only() -> None:
    code = (
        "from core.lean_imports import hidden_package\n"
        "with hidden_package('requests'):\n"
        "    try: import requests\n"
        "    except ImportError: print('hidden')\n"
        "import requests; print(requests.__name__)\n"
        "with hidden_package('requests'): import requests; print(requests.__name__)\n"
        "import requests; print(requests.__name__)\n"
    )
    assert run(code).split() == ["hidden", *["requests"] * 3]


@pytest.mark.parametrize("package", ["requests", "rich", "pygments", "alembic", "mako"])
@pytest.mark.parametrize("program", ["app.server.run, app.main", "indexer.worker"])
def test_processes_do_not_load_what_they_do_not_use(package: str, program: str) -> None:
    code = f"import {program}, indexer.preflight.start, sys; print({package!r} in sys.modules)"
    assert run(code) == "False\n"


@pytest.mark.parametrize("program", ["app.server.run, app.main", "indexer.worker"])
def test_processes_load_no_blocking_client_of_elasticsearch(program: str) -> None:
    loaded = "[name for name in sys.modules if name.startswith('elasticsearch._sync.')]"
    assert run(f"import {program}, sys; print(*{loaded})").split() == ["elasticsearch._sync.client.utils"]


def test_blocking_client_is_not_there_by_its_name() -> None:
    code = "import core.lean_imports, elasticsearch; print(hasattr(elasticsearch, 'Elasticsearch'))"
    assert run(code) == "False\n"
