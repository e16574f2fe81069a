"""docker-compose.yml and Dockerfile, checked as text, because Docker is unavailable to the tests."""

import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from core.configuration.settings import Settings, load_settings
from scripts.cli import app
from scripts.dev_stack.elasticsearch.jars import VERSION
from scripts.dev_stack.split import PROCESSES, WORKERS
from tests.support.tls_proxy import CERTIFICATE

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("smarttrip")}
OBSERVERS = {name for name, service in SERVICES.items() if service.get("profiles") == ["observe"]}
STARTED = {name: service for name, service in SERVICES.items() if "profiles" not in service}


SPLIT = {name: service for name, service in SERVICES.items() if service.get("profiles") == ["split"]}


def conditions(name: str) -> dict[str, str]:
    return {other: link["condition"] for other, link in SERVICES[name].get("depends_on", {}).items()}


def test_compose_has_the_whole_system_and_optional_samples() -> None:
    assert set(STARTED) == {"passwords", "postgres", "valkey", "elasticsearch", "migrate", "worker", "api"}
    assert SERVICES["seed"]["profiles"] == ["sample"]
    assert set(OBSERVERS) == {"prometheus", "alertmanager", "grafana", "otel-collector", "jaeger"}


def test_servers_are_official_images_of_tested_versions() -> None:
    assert SERVICES["elasticsearch"]["image"] == f"elasticsearch:{VERSION}"
    assert SERVICES["postgres"]["image"] == "postgres:18"
    assert SERVICES["valkey"]["image"] == "valkey/valkey:9"


def test_services_wait_for_their_dependencies() -> None:
    assert conditions("postgres") == {"passwords": "service_completed_successfully"}
    assert conditions("migrate") == {"postgres": "service_healthy"}
    assert conditions("seed") == {"migrate": "service_completed_successfully"}
    needed = {
        "migrate": "service_completed_successfully",
        "valkey": "service_healthy",
        "elasticsearch": "service_healthy",
    }
    assert conditions("worker") == needed
    assert conditions("api") == needed


def reached(*names: str) -> set[str]:
    """Return what `docker compose up NAME` starts."""
    found = set(names)
    for name in names:
        found |= reached(*conditions(name))
    return found


def test_gateway_starts_the_whole_split_system() -> None:
    assert reached("gateway") == SPLIT.keys() | {"passwords"}


def test_split_system_shares_no_data_with_the_other() -> None:
    """Workers of two indexes on one Postgres would each take a part of the changes."""
    both: dict[bool, set[str]] = {True: set(), False: set()}
    for service in SERVICES.values():
        is_split = any(profile.startswith("split") for profile in service.get("profiles", ()))
        mounted = {volume.split(":")[0] for volume in service.get("volumes", ())} & COMPOSE["volumes"].keys()
        addresses = re.findall(
            r"[@/,]([a-z][a-z0-9-]*):\d+", " ".join(map(str, service.get("environment", {}).values()))
        )
        both[is_split] |= {*mounted, *addresses}
    assert both[True] & both[False] == {"passwords"}


def test_split_system_has_the_processes_of_the_topology() -> None:
    roles = Counter(
        service["environment"]["ROLES"] for service in SPLIT.values() if "serve" in service.get("command", ())
    )
    assert roles == Counter(PROCESSES)
    assert sum(service.get("command") == ["smarttrip", "worker"] for service in SPLIT.values()) == WORKERS
    assert len([name for name in SPLIT if name.startswith("elasticsearch-")]) == 3
    assert len([name for name in SPLIT if name.startswith("sentinel-")]) == 3


def test_gateway_of_the_split_system_names_its_processes() -> None:
    """It is the gateway of deploy/gateway/ but for the servers."""
    text = (ROOT / "deploy" / "compose" / "upstreams.conf").read_text(encoding="utf-8")
    named = set(re.findall(r"server ([a-z]+-\d):5000 resolve ", text))
    assert named == {name for name, service in SPLIT.items() if "serve" in service.get("command", ())}
    example = (ROOT / "deploy" / "gateway" / "upstreams.conf").read_text(encoding="utf-8")
    assert without_servers(text) == without_servers(example)


def without_servers(text: str) -> list[str]:
    omitted = ("#", "resolver", "    server ")
    return [line for line in text.splitlines() if line and not line.startswith(omitted)]


def test_gateway_of_the_split_system_has_every_file_of_the_gateway() -> None:
    mounted = dict(volume.split(":")[:2] for volume in SPLIT["gateway"]["volumes"])
    folder = ROOT / "deploy" / "gateway"
    files = {f"./deploy/gateway/{path.name}": f"/etc/nginx/{path.name}" for path in folder.iterdir()}
    del files["./deploy/gateway/upstreams.conf"]
    files["./deploy/compose/upstreams.conf"] = "/etc/nginx/upstreams.conf"
    assert mounted == {**files, "certificates": "/etc/nginx/tls"}


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_is_mounted_below_what_is_mounted_to_be_read(name: str) -> None:
    volumes = [volume.split(":") for volume in SERVICES[name].get("volumes", ())]
    read_only = [Path(target) for _, target, *options in volumes if options == ["ro"]]
    assert not [target for _, target, *_ in volumes if any(folder in Path(target).parents for folder in read_only)]


@pytest.mark.parametrize("name", SPLIT)
def test_files_mounted_in_the_split_system_exist(name: str) -> None:
    mounted = [volume.split(":")[0] for volume in SPLIT[name].get("volumes", ())]
    assert all((ROOT / path).exists() for path in mounted if path.startswith("."))
    assert all(path in COMPOSE["volumes"] for path in mounted if not path.startswith("."))


def test_password_of_elasticsearch_gets_into_its_addresses(passwords: Path) -> None:
    script = (ROOT / "deploy" / "compose" / "with-elastic-password.sh").read_text(encoding="utf-8")
    command = ("sh", "-c", script.replace("/run/passwords", str(passwords)), "sh", "printenv", "ELASTICSEARCH_URL")
    given = {**os.environ, "ELASTICSEARCH_URL": "https://a:9200,https://b:9200"}
    printed = subprocess.check_output(command, env=given, text=True).strip()
    password = (passwords / "elastic").read_text()
    assert printed == f"https://elastic:{password}@a:9200,https://elastic:{password}@b:9200"
    assert load_settings(
        database_url="postgresql://a/b", redis_url="redis://a", elasticsearch_url=printed
    ).elasticsearch_url


def start_valkey(folder: Path, name: str) -> list[str]:
    """Run the script of a service as its container does, but with the folder as its volume; return what it runs."""
    entrypoint = folder / "docker-entrypoint.sh"
    entrypoint.write_text('#!/bin/sh\necho "$@"\n')
    entrypoint.chmod(0o755)
    script = (ROOT / "deploy" / "compose" / "valkey.sh").read_text(encoding="utf-8").replace("/data/", f"{folder}/")
    _, _, configuration, *lines = SPLIT[name]["command"]
    example = f"{ROOT}/deploy/compose{configuration}"
    environment = {"PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.check_output(("sh", "-c", script, "sh", example, *lines), env=environment, text=True).split()


STATEFUL = ["split-valkey", "valkey-replica-1", "valkey-replica-2", "sentinel-1", "sentinel-2", "sentinel-3"]


@pytest.mark.parametrize("name", STATEFUL)
def test_what_sentinels_have_written_survives_a_restart(name: str, tmp_path: Path) -> None:
    program, path, *_ = first = start_valkey(tmp_path, name)
    assert program == "valkey-server"
    assert ("--sentinel" in first) == name.startswith("sentinel")
    assert f"{name}:/data" in SPLIT[name]["volumes"]
    for line in SPLIT[name]["command"][3:]:
        assert line in Path(path).read_text().splitlines()
    Path(path).write_text("as after a failover")
    assert start_valkey(tmp_path, name) == first
    assert Path(path).read_text() == "as after a failover"


def test_accepted_events_are_on_disk_and_on_a_replica() -> None:
    lines = (ROOT / "deploy" / "compose" / "valkey.conf").read_text().splitlines()
    assert {"appendonly yes", "appendfsync always", "min-replicas-to-write 1"} <= set(lines)
    # After a failover the new master needs a replica, too.
    assert len([name for name in SPLIT if name.startswith("valkey-replica-")]) >= 2


@pytest.mark.parametrize("number", [1, 2, 3])
def test_node_is_healthy_once_it_is_in_a_cluster(number: int) -> None:
    node = SPLIT[f"elasticsearch-{number}"]
    # Nodes connect by addresses, which the certificates do not have.
    assert node["environment"]["xpack.security.transport.ssl.verification_mode"] == "certificate"
    (_, check) = node["healthcheck"]["test"]
    assert "--fail" in check
    assert "/run/passwords/elastic" in check


def test_dependencies_have_health_checks_and_volumes() -> None:
    for name in ("postgres", "valkey", "elasticsearch"):
        assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
        assert SERVICES[name]["volumes"][0].partition(":")[0] in COMPOSE["volumes"]
    for name in ("api", "worker"):
        assert "/readyz" in SERVICES[name]["healthcheck"]["test"][-1]


def test_only_the_api_and_observers_are_published_on_loopback() -> None:
    published = {name for name, service in SERVICES.items() if "ports" in service}
    assert published - OBSERVERS == {"api", "gateway"}
    assert all(port.startswith("127.0.0.1:") for name in published for port in SERVICES[name]["ports"])


@pytest.mark.parametrize("name", sorted(OBSERVERS))
def test_mounted_configuration_exists(name: str) -> None:
    mounted = [volume.split(":")[0] for volume in SERVICES[name].get("volumes", ())]
    assert all((ROOT / path).exists() for path in mounted if path.startswith("."))


def test_observers_find_each_other() -> None:
    """Host names in the configurations are those of services."""
    files = [path for path in (ROOT / "deploy").rglob("*.yml") if path.name != "alertmanager.yml"]
    addresses = {found for path in files for found in re.findall(r"([a-z][a-z-]*):\d{4,5}\b", path.read_text())}
    assert addresses == {"api", "worker", "alertmanager", "prometheus", "jaeger"}
    assert addresses <= SERVICES.keys()


COMBINATIONS = [(), ("sample",), ("observe",), ("split",), ("split", "split-sample")]
"""Profiles that the file says to start together; `()` is the core."""


def test_every_profile_is_started_somehow() -> None:
    named = {profile for service in SERVICES.values() for profile in service.get("profiles", ())}
    assert named == {profile for combination in COMBINATIONS for profile in combination}


@pytest.mark.parametrize("profiles", COMBINATIONS)
def test_what_a_profile_starts_has_what_it_depends_on(profiles: tuple[str, ...]) -> None:
    """Otherwise Compose refuses the file; 1.29 does so at the start only."""
    started = STARTED.keys() | {name for name in SERVICES if {*SERVICES[name].get("profiles", ())} & {*profiles}}
    assert {other for name in started for other in conditions(name)} <= started


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="needs docker-compose")
@pytest.mark.parametrize("profiles", COMBINATIONS)
def test_docker_compose_accepts_the_file(profiles: tuple[str, ...]) -> None:
    options = [option for profile in profiles for option in ("--profile", profile)]
    command = ("docker-compose", "--file", str(ROOT / "docker-compose.yml"), *options, "config", "--quiet")
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("name", OURS)
def test_containers_have_minimal_privileges(name: str) -> None:
    assert OURS[name]["cap_drop"] == ["ALL"]
    assert OURS[name]["read_only"] is True
    assert OURS[name]["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", OURS)
def test_containers_run_existing_commands_with_valid_settings(
    name: str, monkeypatch: pytest.MonkeyPatch, passwords: Path
) -> None:
    program, command, *options = OURS[name]["command"]
    assert program == "smarttrip"
    known = get_command(app).commands[command]  # type: ignore[attr-defined]
    assert set(options) <= {option for parameter in known.params for option in parameter.opts}
    for variable, value in OURS[name]["environment"].items():
        if value is not None:
            text = default(str(value)).replace("/run/certificates/ca/ca.crt", str(CERTIFICATE))
            monkeypatch.setenv(variable, text.replace("/run/passwords", str(passwords)))
    load_settings()


def make_passwords(folder: Path, **variables: str) -> None:
    script = ROOT / "deploy" / "compose" / "passwords.sh"
    environment = {"PATH": os.environ["PATH"], **variables}
    subprocess.run(("sh", str(script), str(folder)), env=environment, check=True)


@pytest.fixture
def passwords(tmp_path: Path) -> Path:
    make_passwords(tmp_path)
    return tmp_path


def test_password_is_generated_once(passwords: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    password = (passwords / "postgres").read_text()
    assert re.fullmatch(r"[0-9a-f]{64}", password)
    assert (passwords / "pgpass").read_text() == (passwords / "replication").read_text() == f"*:*:*:*:{password}"
    assert (passwords / "userlist.txt").read_text() == f'"smarttrip" "{password}"'
    elastic = (passwords / "elastic").read_text()
    assert elastic == (passwords / "elastic-client").read_text()
    assert re.fullmatch(r"[0-9a-f]{64}", elastic)
    assert elastic != password
    assert {path.stat().st_mode & 0o777 for path in passwords.iterdir()} == {0o600}
    make_passwords(passwords, POSTGRES_PASSWORD="")
    assert (passwords / "postgres").read_text() == password
    other = tmp_path_factory.mktemp("other")
    make_passwords(other)
    assert (other / "postgres").read_text() != password


def test_own_password_replaces_the_generated_one(passwords: Path) -> None:
    make_passwords(passwords, POSTGRES_PASSWORD="of a database: made before")
    assert (passwords / "postgres").read_text() == "of a database: made before"
    assert (passwords / "pgpass").read_text() == "*:*:*:*:of a database: made before"


def test_no_password_is_a_constant() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|KEY|TOKEN", variable) and not variable.endswith("_FILE"):
                assert default(str(value or "")) == "", (name, variable)
            assert not re.search(r"://[^/@]*:[^/@]*@", str(value)), (name, variable)


@pytest.mark.parametrize("name", SERVICES)
def test_logs_are_rotated(name: str) -> None:
    assert SERVICES[name]["logging"]["options"].keys() == {"max-size", "max-file"}


@pytest.mark.parametrize("name", ["api", "worker"])
def test_variables_of_traces_reach_the_containers(name: str) -> None:
    assert {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_SAMPLER"} <= SERVICES[name]["environment"].keys()


def test_every_setting_reaches_the_containers() -> None:
    passed = {variable.lower() for service in OURS.values() for variable in service["environment"]}
    passed -= {name for name in passed if name.startswith("otel_")}
    set_by_image = {"host", "port"}
    assert passed | set_by_image == Settings.model_fields.keys()


def default(value: str) -> str:
    """Return what compose substitutes for `${NAME:-default}` if NAME is not set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


def test_image_runs_unprivileged() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^USER [1-9]\d*$", dockerfile, re.MULTILINE)
    assert "HEALTHCHECK" in dockerfile


def test_image_context_has_only_copied_files() -> None:
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    included = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {name for line in copied for name in line.split()} == included
