"""The manifests are valid, and what they name exists."""

from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from scripts.dev_stack.elasticsearch.jars import VERSION
from tests.scripts.kubernetes.conftest import (
    KUBERNETES,
    OF_A_RELEASE,
    OVERLAYS,
    Manifest,
    build,
    containers,
    of_kind,
    pods,
    selects,
)

OF_OPERATORS = {"ServiceMonitor"}
EXAMPLES = sorted((KUBERNETES / "examples").iterdir())


def test_there_is_an_overlay_for_each_size() -> None:
    assert set(OVERLAYS) == {"small", "10x", "100x"}


def test_manifests_follow_the_schemas_of_kubernetes() -> None:
    folders = (*OF_A_RELEASE, *(f"overlays/{name}" for name in OVERLAYS))
    # Most are the same in all overlays, and each check reads a megabyte of definitions.
    distinct = {yaml.safe_dump(manifest): manifest for folder in folders for manifest in build(folder)}
    checked = [manifest for manifest in distinct.values() if manifest["kind"] not in OF_OPERATORS]
    assert len(checked) > 30
    for manifest in checked:
        kubernetes_validate.validate(manifest, "1.37", strict=True)


def test_wrong_manifest_is_found() -> None:
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"port": 1}}, "1.37", strict=True
        )


def test_everything_is_in_one_namespace(manifests: tuple[Manifest, ...]) -> None:
    (namespace,) = of_kind(manifests, "Namespace")
    others = [manifest for manifest in manifests if manifest["kind"] != "Namespace"]
    assert {manifest["metadata"]["namespace"] for manifest in others} == {namespace}


def test_names_lead_to_manifests(manifests: tuple[Manifest, ...]) -> None:
    settings, accounts = of_kind(manifests, "ConfigMap"), of_kind(manifests, "ServiceAccount")
    for container in containers(manifests).values():
        assert {source["configMapRef"]["name"] for source in container["envFrom"]} <= settings.keys()
    for pod in pods(manifests).values():
        assert pod["spec"]["serviceAccountName"] in accounts
    for scaled in of_kind(manifests, "HorizontalPodAutoscaler").values():
        assert scaled["spec"]["scaleTargetRef"]["name"] in of_kind(manifests, "Deployment")


def test_selectors_select_the_pods_of_one_deployment(manifests: tuple[Manifest, ...]) -> None:
    """Budgets and spreads count no other's pods, and services send no request to them."""
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(manifests).items()}
    selectors = {name: budget["spec"]["selector"] for name, budget in of_kind(manifests, "PodDisruptionBudget").items()}
    for name, selector in selectors.items():
        assert [other for other in labels if selects(selector, labels[other])] == [name]
    for name, service in of_kind(manifests, "Service").items():
        assert [other for other in labels if selects({"matchLabels": service["spec"]["selector"]}, labels[other])] == [
            name
        ]
    for name, deployment in of_kind(manifests, "Deployment").items():
        spreads = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert {spread["topologyKey"] for spread in spreads} == {
            "topology.kubernetes.io/zone",
            "kubernetes.io/hostname",
        }
        for spread in spreads:
            # Otherwise a lost zone counts as one without pods, and no other takes its pods.
            assert (spread["nodeTaintsPolicy"], spread["matchLabelKeys"]) == ("Honor", ["pod-template-hash"])
            assert [other for other in labels if selects(spread["labelSelector"], labels[other])] == [name]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_say_that_they_are_unchecked(path: Path) -> None:
    assert path.read_text().startswith("# Unchecked example: ")
    assert list(yaml.safe_load_all(path.read_text()))


def test_example_has_the_tested_elasticsearch() -> None:
    assert f"version: {VERSION}\n" in (KUBERNETES / "examples" / "elasticsearch-eck.yaml").read_text()
