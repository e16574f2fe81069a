"""The environment of the pods: names that are settings, values that are valid, secrets by reference."""

from typing import get_args

import pytest
from pydantic import SecretStr

from core.configuration.roles import ROLES
from core.configuration.settings import Settings, load_settings
from tests.scripts.kubernetes.conftest import Manifest, containers, of_kind, pods
from tests.scripts.kubernetes.test_pods import environment

SERVERS = {
    "DATABASE_URL",
    "DATABASE_DIRECT_URL",
    "DATABASE_REPLICA_URLS",
    "REDIS_URL",
    "ELASTICSEARCH_URL",
    "ELASTICSEARCH_API_KEY",
}
SECRETS = SERVERS | {
    name.upper()
    for name, field in Settings.model_fields.items()
    if SecretStr in (field.annotation, *get_args(field.annotation))
}
REQUIRED = {name.upper() for name, field in Settings.model_fields.items() if field.is_required()}
LABEL = "metadata.labels['app.kubernetes.io/component']"


def test_every_name_is_a_setting(manifests: tuple[Manifest, ...]) -> None:
    known = {name.upper() for name in Settings.model_fields}
    for container in containers(manifests).values():
        names = [entry["name"] for entry in container["env"]]
        assert len(set(names)) == len(names)
        assert {*names, *environment(container, manifests)} <= known


def test_values_are_valid(manifests: tuple[Manifest, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://postgres/smarttrip")
    monkeypatch.setenv("REDIS_URL", "redis://valkey")
    monkeypatch.setenv("ELASTICSEARCH_URL", "http://elasticsearch:9200")
    for container in containers(manifests).values():
        with monkeypatch.context() as context:
            for name, value in environment(container, manifests).items():
                context.setenv(name, value)
            load_settings()


def test_secrets_are_references(manifests: tuple[Manifest, ...]) -> None:
    assert {"ADMIN_KEY", "SUPABASE_JWT_SECRET"} <= SECRETS
    assert not of_kind(manifests, "Secret")
    for name, container in containers(manifests).items():
        assert not SECRETS & environment(container, manifests).keys(), name
        for entry in container["env"]:
            if entry["name"] in SECRETS:
                reference = entry["valueFrom"]["secretKeyRef"]
                assert reference["key"] == entry["name"]
                assert reference.get("optional", False) is (entry["name"] not in REQUIRED)


def test_api_gets_every_secret_and_others_only_the_servers(manifests: tuple[Manifest, ...]) -> None:
    for container in containers(manifests).values():
        names = {entry["name"] for entry in container["env"]} & SECRETS
        assert names >= REQUIRED
        if container["args"][1] == "serve":
            assert names == SECRETS
        else:
            assert names <= SERVERS


def test_every_role_has_a_deployment_of_its_own(manifests: tuple[Manifest, ...]) -> None:
    roles = []
    for pod in pods(manifests).values():
        (container,) = pod["spec"]["containers"]
        sources = {entry["name"]: entry.get("valueFrom") for entry in container["env"]}
        if container["args"][1] == "serve":
            assert sources["ROLES"] == {"fieldRef": {"fieldPath": LABEL}}
            roles.append(pod["metadata"]["labels"]["app.kubernetes.io/component"])
    assert sorted(roles) == sorted(ROLES)
