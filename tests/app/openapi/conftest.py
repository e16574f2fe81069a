"""Linters and generators of clients, each from a lock file of its own, installed once in the user's cache."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from app.endpoints.openapi import build_openapi
from app.routes import ENDPOINTS
from scripts.dev_stack.paths import build_once, cache_root

HERE = Path(__file__).parent


def run(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Run a command and return what it prints; fail with all of it."""
    done = subprocess.run([*command], cwd=cwd, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def install_once(lock: str, build: Callable[[Path], object]) -> Path:
    """Return the folder with what a lock file names; another one once the lock file or this module changes."""
    key = hashlib.sha256((HERE / lock).read_bytes() + Path(__file__).read_bytes()).hexdigest()[:12]
    return build_once(cache_root() / f"openapi-{Path(lock).stem}-{key}", lambda folder: void(build(folder)))


def void(_result: object) -> None:
    """Drop a result."""


@pytest.fixture(scope="session")
def node() -> Path:
    """Return a folder with the packages of package-lock.json."""
    if shutil.which("npm") is None:
        pytest.skip("needs Debian's package npm")

    def install(folder: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(HERE / name, folder / name)
        run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder)

    return install_once("package-lock.json", install)


@pytest.fixture(scope="session")
def python_packages() -> Path:
    """Return a folder of Python packages, those of requirements.lock."""

    def install(folder: Path) -> None:
        pip = (sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-input")
        run(*pip, "--require-hashes", "--target", folder, "-r", HERE / "requirements.lock", cwd=folder)

    return install_once("requirements.lock", install)


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """Return a file with the OpenAPI document."""
    path = tmp_path / "openapi.json"
    path.write_bytes(build_openapi(ENDPOINTS))
    return path
