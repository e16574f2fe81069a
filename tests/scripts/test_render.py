"""render.yaml, checked as text, because Render is unavailable to the tests."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from app.routes import endpoints_of
from app.server.run import GRACE_SECONDS
from core.configuration.settings import Settings, load_settings
from scripts.cli import app
from scripts.dev_stack.elasticsearch.jars import VERSION

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, dict[str, Any]] = {
    service["name"]: service for service in yaml.safe_load((ROOT / "render.yaml").read_text())["services"]
}
OURS = {name: service for name, service in SERVICES.items() if service.get("runtime") == "docker"}
MEMORY = {"starter": 256 * 10**6, "standard": 10**9}
"""Bytes of a key-value store, by plan."""
SECRET = ("DATABASE_URL", "DATABASE_DIRECT_URL", "REDIS_URL", "SUPABASE_JWT_SECRET", "ADMIN_KEY")


def variables(name: str) -> dict[str, dict[str, Any]]:
    return {entry["key"]: entry for entry in SERVICES[name]["envVars"]}


def test_blueprint_has_the_whole_system_in_one_region() -> None:
    kinds = {name: service["type"] for name, service in SERVICES.items()}
    assert kinds == {
        "smarttrip-api": "web",
        "smarttrip-worker": "worker",
        "smarttrip-redis": "keyvalue",
        "smarttrip-elasticsearch": "pserv",
    }
    assert len({service["region"] for service in SERVICES.values()}) == 1


def test_api_scales_as_the_proposal_says() -> None:
    assert SERVICES["smarttrip-api"]["scaling"] == {
        "minInstances": 2,
        "maxInstances": 10,
        "targetCPUPercent": 70,
        "targetMemoryPercent": 80,
    }


@pytest.mark.parametrize("name", OURS)
def test_commands_exist(name: str) -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    for key in ("dockerCommand", "preDeployCommand"):
        program, command = OURS[name].get(key, "smarttrip migrate").split()
        assert program == "smarttrip"
        assert command in commands


@pytest.mark.parametrize("name", OURS)
def test_variables_are_settings_with_valid_values(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    required = {field.upper() for field, info in Settings.model_fields.items() if info.is_required()}
    assert required <= variables(name).keys() <= {field.upper() for field in Settings.model_fields}
    monkeypatch.setenv("DATABASE_URL", "postgresql://postgres/smarttrip")
    monkeypatch.setenv("REDIS_URL", "redis://redis")
    for key, entry in variables(name).items():
        if "value" in entry:
            monkeypatch.setenv(key, entry["value"])
    load_settings()


@pytest.mark.parametrize("name", OURS)
def test_secrets_are_not_in_the_file(name: str) -> None:
    for key in SECRET:
        assert "value" not in variables(name).get(key, {})


@pytest.mark.parametrize("name", OURS)
def test_references_lead_to_what_exists(name: str) -> None:
    for entry in variables(name).values():
        source = entry.get("fromService")
        if source:
            assert SERVICES[source["name"]]["type"] == source["type"]
            assert source.get("property") == "connectionString" or source["envVarKey"] in variables(source["name"])
    assert variables(name)["ELASTICSEARCH_URL"]["value"] == "http://smarttrip-elasticsearch:9200"


def test_instances_are_checked_and_get_time_to_end() -> None:
    api = SERVICES["smarttrip-api"]
    # Render restarts what fails it: an instance must not be restarted because a server is down.
    assert api["healthCheckPath"] == "/livez"
    assert "/livez" in {endpoint.path for endpoint in endpoints_of(())}
    drain = float(variables("smarttrip-api")["DRAIN_SECONDS"]["value"])
    assert all(service["maxShutdownDelaySeconds"] >= drain + GRACE_SECONDS + 10 for service in OURS.values())


def test_servers_are_private_of_the_tested_version_and_keep_what_must_not_be_lost() -> None:
    elasticsearch, redis = SERVICES["smarttrip-elasticsearch"], SERVICES["smarttrip-redis"]
    assert elasticsearch["image"]["url"] == f"elasticsearch:{VERSION}"
    assert elasticsearch["disk"]["mountPath"] == "/usr/share/elasticsearch/data"
    # Only what expires may be evicted. Something must be: pages of lists would fill it, and end the rate limits.
    assert redis["maxmemoryPolicy"] == "volatile-lru"
    waiting = int(variables("smarttrip-api")["TRACKING_LIMIT_BYTES"]["value"])
    assert waiting <= MEMORY[redis["plan"]] // 2
    assert redis["ipAllowList"] == []
