"""The manifests of deploy/kubernetes/, as kustomize builds them."""

import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

KUBERNETES = Path(__file__).parents[3] / "deploy" / "kubernetes"
KUBECTL = Path(sys.executable).with_name("kubectl")
OVERLAYS = sorted(folder.name for folder in (KUBERNETES / "overlays").iterdir())
OF_A_RELEASE = ("migration", "next-worker")

Manifest = dict[str, Any]


@cache
def build(folder: str) -> tuple[Manifest, ...]:
    """Return the manifests of a folder below deploy/kubernetes/."""
    command = (KUBECTL, "kustomize", KUBERNETES / folder)
    built = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert built.returncode == 0, built.stderr
    return tuple(yaml.safe_load_all(built.stdout))


@pytest.fixture(scope="session", params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> tuple[Manifest, ...]:
    """Return what a cluster runs during a release: the migration, the next workers, and one of the overlays."""
    return tuple(manifest for folder in (*OF_A_RELEASE, f"overlays/{request.param}") for manifest in build(folder))


def of_kind(manifests: tuple[Manifest, ...], *kinds: str) -> dict[str, Manifest]:
    """Return the manifests of some kinds by name."""
    return {manifest["metadata"]["name"]: manifest for manifest in manifests if manifest["kind"] in kinds}


def pods(manifests: tuple[Manifest, ...]) -> dict[str, Manifest]:
    """Return the pod templates by the name of their deployment or job."""
    owners = of_kind(manifests, "Deployment", "Job", "StatefulSet", "DaemonSet", "CronJob")
    return {name: owner["spec"]["template"] for name, owner in owners.items()}


def containers(manifests: tuple[Manifest, ...]) -> dict[str, Manifest]:
    """Return the containers by the name of their deployment or job and their own."""
    return {
        f"{name}/{container['name']}": container
        for name, pod in pods(manifests).items()
        for container in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"])
    }


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Return whether a label selector selects what has the labels."""
    expressions = selector.get("matchExpressions", ())
    assert all(expression["operator"] == "In" for expression in expressions)
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(expression["key"]) in expression["values"] for expression in expressions
    )
