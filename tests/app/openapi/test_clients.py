"""Clients generated from the OpenAPI document work against a running service."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from app.admin.index_service import REINDEX_REQUEST_KEY
from tests.app.conftest import ADMIN_KEY
from tests.app.openapi.conftest import HERE, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(autouse=True)
async def no_reindex_requested(redis: Redis) -> None:
    """No worker starts what the test before has requested, and a second request would be rejected."""
    await redis.delete(REINDEX_REQUEST_KEY)


def assert_used(seen: dict[str, Any]) -> None:
    assert 0 <= seen["best"] <= 100
    assert (seen["processed"], seen["reindex"]) == (1, True)
    code, request_id = seen["missing"]
    assert code == "not_found"
    assert len(request_id) > 10
    assert seen["wrong"] == ["bad_request", "limit"]


def test_typescript_client_is_typed_and_works(node: Path, document: Path, address: str) -> None:
    folder = document.parent
    (folder / "node_modules").symlink_to(node / "node_modules")
    (folder / "package.json").write_text('{"type": "module"}')
    shutil.copy(HERE / "use_client.ts", folder)
    programs = node / "node_modules" / ".bin"
    # Without the option, what a request may omit because it has a default would be required.
    run(programs / "openapi-typescript", document, "-o", "schema.d.ts", "--default-non-nullable=false", cwd=folder)
    options = ("--strict", "--target", "es2022", "--module", "es2022", "--moduleResolution", "bundler")
    run(programs / "tsc", *options, "--lib", "es2022,dom", "--skipLibCheck", "use_client.ts", cwd=folder)
    assert_used(json.loads(run("node", "use_client.js", address, ADMIN_KEY, cwd=folder)))


def test_python_client_works(python_packages: Path, document: Path, address: str) -> None:
    folder = document.parent
    env = {"PYTHONPATH": str(python_packages), "PATH": os.environ["PATH"]}
    # An enumeration would need a name for each value, and Africa and AFRICA would get the same.
    (folder / "generator.yml").write_text("literal_enums: true\n")
    options = ("--path", document, "--config", "generator.yml", "--meta", "none")
    target = folder / "smart_trip_api_client"
    generate = ("-m", "openapi_python_client", "generate", *options, "--output-path", target)
    run(sys.executable, *generate, cwd=folder, env=env)
    shutil.copy(HERE / "use_client.py", folder)
    assert_used(json.loads(run(sys.executable, "use_client.py", address, ADMIN_KEY, cwd=folder, env=env)))
