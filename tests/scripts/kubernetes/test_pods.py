"""Policies for the pods: privileges, resources, probes, and an end that loses no request."""

import re
import tomllib
from pathlib import Path

from typer.main import get_command

from app.routes import endpoints_of
from app.server.run import GRACE_SECONDS
from core.configuration.settings import Settings
from indexer.worker import BATCH_SECONDS, FINISH_SECONDS
from scripts.cli import app
from tests.scripts.kubernetes.conftest import Manifest, containers, of_kind, pods

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def environment(container: Manifest, manifests: tuple[Manifest, ...]) -> dict[str, str]:
    """Return the variables that have a value here, rather than in a secret or a label."""
    maps = of_kind(manifests, "ConfigMap")
    given = {k: v for source in container["envFrom"] for k, v in maps[source["configMapRef"]["name"]]["data"].items()}
    return given | {entry["name"]: entry["value"] for entry in container.get("env", ()) if "value" in entry}


def image_setting(name: str) -> str:
    """Return the value that the image sets."""
    match = re.search(rf"^ENV .*\b{name}=(\S+)", DOCKERFILE, re.MULTILINE)
    assert match
    return match[1]


def test_image_is_ours_and_of_this_release(manifests: tuple[Manifest, ...]) -> None:
    release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    images = {container["image"] for container in containers(manifests).values()}
    assert images == {f"registry.example.org/smarttrip:{release}"}


def test_containers_have_no_privileges(manifests: tuple[Manifest, ...]) -> None:
    assert all(container["securityContext"] == RESTRICTED for container in containers(manifests).values())


def test_pods_run_as_the_user_of_the_image_without_a_token(manifests: tuple[Manifest, ...]) -> None:
    user = re.search(r"^USER (\d+)$", DOCKERFILE, re.MULTILINE)
    assert user
    for pod in pods(manifests).values():
        context = pod["spec"]["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] == int(user[1])
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod["spec"].keys()
        own = [volume for volume in pod["spec"]["volumes"] if volume.keys() != {"name", "emptyDir"}]
        assert own == [
            {"name": "authorities", "secret": {"secretName": "smarttrip-authorities", "optional": True}},
        ]
    (namespace,) = of_kind(manifests, "Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_resources_are_requested_and_limited(manifests: tuple[Manifest, ...]) -> None:
    for container in containers(manifests).values():
        assert container["resources"].keys() == {"requests", "limits"}
        assert all(part.keys() == {"cpu", "memory"} for part in container["resources"].values())


def test_containers_run_commands_of_ours(manifests: tuple[Manifest, ...]) -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    for container in containers(manifests).values():
        program, command = container["args"]
        assert program == "smarttrip"
        assert command in commands


def test_probes_ask_paths_and_ports_that_are_served(manifests: tuple[Manifest, ...]) -> None:
    paths = {endpoint.path for endpoint in endpoints_of(())}
    for name, deployment in of_kind(manifests, "Deployment").items():
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            ports = {port["name"] for port in container["ports"]}
            probes = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
            assert all(probe["port"] in ports for probe in probes.values()), name
            assert {kind: probe["path"] for kind, probe in probes.items()} == {
                "startup": "/livez",
                "liveness": "/livez",
                "readiness": "/readyz",
            }
            assert {"/livez", "/readyz"} <= paths


def test_ports_are_those_that_the_processes_listen_on(manifests: tuple[Manifest, ...]) -> None:
    for name, container in containers(manifests).items():
        given = environment(container, manifests)
        listening = {
            "serve": {given.get("PORT", image_setting("PORT"))},
            "worker": {given.get("WORKER_PORT", "none")},
            "migrate": set(),
        }
        assert {str(port["containerPort"]) for port in container.get("ports", ())} == listening[container["args"][1]], (
            name
        )
        assert given.get("HOST", image_setting("HOST")) == "0.0.0.0"


def test_pods_get_more_time_to_end_than_they_take(manifests: tuple[Manifest, ...]) -> None:
    takes = {"worker": BATCH_SECONDS + FINISH_SECONDS}
    for name, deployment in of_kind(manifests, "Deployment").items():
        pod = deployment["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        drain = environment(container, manifests).get("DRAIN_SECONDS", Settings.model_fields["drain_seconds"].default)
        seconds = takes.get(container["args"][1], float(drain) + GRACE_SECONDS)
        assert pod["terminationGracePeriodSeconds"] >= seconds + 10, name


def test_deployments_survive_a_drained_node_and_a_rollout(manifests: tuple[Manifest, ...]) -> None:
    deployments = of_kind(manifests, "Deployment")
    assert of_kind(manifests, "PodDisruptionBudget").keys() == deployments.keys()
    for name, deployment in deployments.items():
        if name.startswith("api-"):
            assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_autoscalers_follow_processor_and_memory(manifests: tuple[Manifest, ...]) -> None:
    scaled = of_kind(manifests, "HorizontalPodAutoscaler")
    assert scaled.keys() == {name for name in of_kind(manifests, "Deployment") if name.startswith("api-")}
    for scaler in scaled.values():
        rules = [metric["resource"] for metric in scaler["spec"]["metrics"] if metric["type"] == "Resource"]
        thresholds = {rule["name"]: rule["target"]["averageUtilization"] for rule in rules}
        assert thresholds == {"cpu": min(70, thresholds["cpu"]), "memory": 80}
        assert 1 <= scaler["spec"]["minReplicas"] < scaler["spec"]["maxReplicas"]
        # The autoscaler owns the number.
        assert "replicas" not in of_kind(manifests, "Deployment")[scaler["metadata"]["name"]]["spec"]
