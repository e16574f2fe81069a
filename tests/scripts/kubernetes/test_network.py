"""The ways between pods: what is denied, what is allowed, and which pods serve which path."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from app.routes import endpoints_of
from core.configuration.postgres_url import parse_postgres_url
from core.configuration.redis_url import parse_sentinel_url
from core.configuration.roles import ROLES, Role
from core.configuration.settings import load_settings
from tests.scripts.kubernetes.conftest import Manifest, containers, of_kind, pods, selects

ROOT = Path(__file__).parents[3]
DNS = {53, 5353}
POSTGRES = ["postgresql://host/a", "postgresql://host:6432/a", "postgresql://a.pooler.supabase.com:6543/a"]
URLS = {
    "DATABASE_URL": POSTGRES,
    "DATABASE_DIRECT_URL": POSTGRES,
    "DATABASE_REPLICA_URLS": POSTGRES,
    "REDIS_URL": ["redis://host", "rediss://host:6380/0", "redis+sentinel://one,two,three/master/0"],
    "ELASTICSEARCH_URL": ["http://host:9200", "https://host:9243", "https://host:443"],
    "SUPABASE_JWKS_URL": ["https://a.supabase.co/auth/v1/.well-known/jwks.json"],
    "OTEL_EXPORTER_OTLP_ENDPOINT": ["http://collector:4318"],
}
"""The forms of each address: of a server itself, of a pooler, of Sentinels, and of providers."""
NOT_SECRET = {"SUPABASE_JWKS_URL", "OTEL_EXPORTER_OTLP_ENDPOINT"}
"""Addresses that are set in settings.env."""
REQUIRED = {"DATABASE_URL": POSTGRES[0], "REDIS_URL": "redis://host", "ELASTICSEARCH_URL": "http://host:9200"}


def ports(name: str, url: str) -> set[int]:
    """Return the ports to which the program connects by the URL."""
    settings = load_settings(**{key.lower(): value for key, value in {**REQUIRED, name: url}.items()})
    if name.startswith("DATABASE_"):
        return {port for _, port in parse_postgres_url(url).hosts}
    if name == "REDIS_URL" and (sentinels := parse_sentinel_url(settings.redis_url)):
        return {port for _, port in sentinels.sentinels}
    return {urlsplit(url).port or {"redis": 6379, "https": 443}[urlsplit(url).scheme]}


def backends(manifests: tuple[Manifest, ...]) -> dict[tuple[str, str], str]:
    """Return the services by path and kind of path."""
    rules = [rule for ingress in of_kind(manifests, "Ingress").values() for rule in ingress["spec"]["rules"]]
    assert {rule["host"] for rule in rules} == {"api.example.org"}
    paths = [path for rule in rules for path in rule["http"]["paths"]]
    found = {(path["path"], path["pathType"]): path["backend"]["service"]["name"] for path in paths}
    assert len(found) == len(paths)
    return found


def backend_of(path: str, routes: dict[tuple[str, str], str]) -> str | None:
    """Return the service of the path, or of its longest prefix part by part; None if there is none."""
    parts = path.split("/")
    matching = [
        route
        for route in routes
        if route == (path, "Exact")
        or (route[1] == "Prefix" and parts[: route[0].count("/") + 1] == route[0].split("/"))
    ]
    return routes[max(matching, key=lambda route: (route[1] == "Exact", len(route[0])))] if matching else None


def test_metrics_are_not_for_clients(manifests: tuple[Manifest, ...]) -> None:
    routes = backends(manifests)
    served = {endpoint.path for endpoint in endpoints_of(())}
    assert {path for path in served if backend_of(path, routes) is None} == {"/metrics"}
    for path in ("/metrics/", "/METRICS", "/elsewhere"):
        assert backend_of(path, routes) is None


def test_administrators_paths_are_for_listed_networks(manifests: tuple[Manifest, ...]) -> None:
    for name, ingress in of_kind(manifests, "Ingress").items():
        networks = ingress["metadata"]["annotations"].get("nginx.ingress.kubernetes.io/whitelist-source-range")
        services = {
            path["backend"]["service"]["name"] for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]
        }
        assert ("api-admin" in services) == bool(networks), name
        assert not networks or services == {"api-admin"}


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
    for pod in pods(manifests).values():
        (container,) = pod["spec"]["containers"]
        used = {entry["name"] for entry in container["env"]} & URLS.keys()
        if container["args"][1] == "migrate":
            used = {name for name in used if name.startswith("DATABASE_")}
        else:
            used |= NOT_SECRET
        allowed = {port["port"] for rule in rules_of(pod, manifests, "egress") for port in rule["ports"]}
        assert allowed == DNS.union(*(ports(name, url) for name in used for url in URLS[name]))


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
