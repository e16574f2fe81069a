"""The ways between pods: what is denied, what is allowed, and which pods serve which path."""

from pathlib import Path

import pytest
import yaml

from app.routes import endpoints_of
from core.configuration.roles import ROLES, Role
from tests.scripts.kubernetes.conftest import Manifest, containers, of_kind, pods, selects

ROOT = Path(__file__).parents[3]


def backends(manifests: tuple[Manifest, ...]) -> dict[str, str]:
    """Return the services by prefix of the path."""
    rules = [rule for ingress in of_kind(manifests, "Ingress").values() for rule in ingress["spec"]["rules"]]
    assert {rule["host"] for rule in rules} == {"api.example.org"}
    paths = [path for rule in rules for path in rule["http"]["paths"]]
    assert {path["pathType"] for path in paths} == {"Prefix"}
    found = {path["path"]: path["backend"]["service"]["name"] for path in paths}
    assert len(found) == len(paths)
    return found


def backend_of(path: str, prefixes: dict[str, str]) -> str:
    """Return the service of the longest prefix that matches, part by part."""
    parts = path.split("/")
    matching = [prefix for prefix in prefixes if prefix == "/" or parts[: prefix.count("/") + 1] == prefix.split("/")]
    return prefixes[max(matching, key=len)]


@pytest.mark.parametrize("role", ROLES)
def test_every_path_leads_to_pods_that_serve_it(manifests: tuple[Manifest, ...], role: Role) -> None:
    prefixes, of_all = backends(manifests), {endpoint.path for endpoint in endpoints_of(())}
    own = {endpoint.path for endpoint in endpoints_of((role,))} - of_all
    assert {backend_of(path, prefixes) for path in own} == {f"api-{role}"}


def test_ingress_names_services_and_their_ports(manifests: tuple[Manifest, ...]) -> None:
    services = of_kind(manifests, "Service")
    assert set(backends(manifests).values()) <= services.keys()
    by_name = {name: container for name, pod in pods(manifests).items() for container in pod["spec"]["containers"]}
    for name, service in services.items():
        open_ports = {port["name"] for port in by_name[name]["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= open_ports


def test_everything_is_denied_by_default(manifests: tuple[Manifest, ...]) -> None:
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in [
        policy["spec"] for policy in of_kind(manifests, "NetworkPolicy").values()
    ]


def rules_of(pod: Manifest, manifests: tuple[Manifest, ...], direction: str) -> list[Manifest]:
    """Return the rules `ingress` or `egress` of all policies that select the pod."""
    policies = [policy["spec"] for policy in of_kind(manifests, "NetworkPolicy").values()]
    return [
        rule
        for policy in policies
        if selects(policy["podSelector"], pod["metadata"]["labels"])
        for rule in policy.get(direction, ())
    ]


def test_incoming_traffic_is_allowed_to_exactly_the_ports_of_each_pod(manifests: tuple[Manifest, ...]) -> None:
    for pod in pods(manifests).values():
        incoming = rules_of(pod, manifests, "ingress")
        allowed = {port["port"] for rule in incoming for port in rule["ports"] if rule["from"]}
        (container,) = pod["spec"]["containers"]
        assert allowed == {port["containerPort"] for port in container.get("ports", ())}


def test_outgoing_traffic_is_allowed_to_names_and_the_servers_that_a_pod_uses(
    manifests: tuple[Manifest, ...],
) -> None:
    names, postgres, others, keys = {53}, {5432, 6432}, {6379, 9200, 4318}, {443}
    expected = {"migrate": names | postgres, "worker": names | postgres | others}
    for pod in pods(manifests).values():
        allowed = {port["port"] for rule in rules_of(pod, manifests, "egress") for port in rule["ports"]}
        (container,) = pod["spec"]["containers"]
        assert allowed == expected.get(container["args"][1], names | postgres | others | keys)


def test_prometheus_scrapes_every_process_under_the_name_that_rules_expect(manifests: tuple[Manifest, ...]) -> None:
    (monitor,) = of_kind(manifests, "ServiceMonitor").values()
    scraped = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    ports = {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]}
    jobs = set()
    for service in of_kind(manifests, "Service").values():
        labels = service["metadata"]["labels"]
        assert selects(monitor["spec"]["selector"], labels)
        assert ports & {port["name"] for port in service["spec"]["ports"]}
        jobs.add(labels[monitor["spec"]["jobLabel"]])
    assert jobs == {job["job_name"] for job in scraped}
    assert len(containers(manifests)) == len(of_kind(manifests, "Service")) + 1
