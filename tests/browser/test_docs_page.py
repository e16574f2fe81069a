"""The documentation page of the API in Chromium."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.routes import ENDPOINTS
from core.settings import Settings
from tests.support.api.uvicorn_server import uvicorn_serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's package chromium")


@pytest.fixture
def page(settings: Settings) -> Iterator[str]:
    with uvicorn_serving(settings) as address:
        yield f"{address}/docs"


def render(page: str, profile: Path) -> str:
    """Return the DOM of the page after its scripts have run."""
    assert CHROMIUM is not None
    command = [CHROMIUM, *QUIET, f"--user-data-dir={profile}", "--virtual-time-budget=10000", "--dump-dom", page]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=90).stdout


def test_page_lists_every_endpoint(page: str, tmp_path: Path) -> None:
    html = render(page, tmp_path)
    paths = [endpoint.path.replace(":int", "") for endpoint in ENDPOINTS]
    assert [path for path in paths if path not in html] == []
    assert [endpoint.summary for endpoint in ENDPOINTS if endpoint.summary not in html] == []
