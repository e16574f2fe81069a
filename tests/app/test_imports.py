"""The API process loads what it needs of the indexer, not the worker."""

import subprocess
import sys

import pytest

WORKER_MODULES = (
    "indexer.worker",
    "indexer.supervisor",
    "indexer.feed",
    "indexer.observability",
    "indexer.jobs.schedule",
    "arq.worker",
)


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """Names of all modules that `import app.main` loads."""
    code = "import sys, app.main; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize("name", WORKER_MODULES)
def test_api_does_not_import_worker(imported: set[str], name: str) -> None:
    assert not {module for module in imported if f"{module}.".startswith(f"{name}.")}


def test_start_imports_no_models_of_openapi(imported: set[str]) -> None:
    assert "openapi_pydantic" not in imported


def test_api_imports_enqueueing_side_of_jobs(imported: set[str]) -> None:
    assert "indexer.jobs.queue" in imported
