"""The split system on this machine: API processes of one role each, two workers, and the gateway before them."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from signal import SIGHUP, SIGTERM

import psutil

from core.configuration.roles import ROLES, Role
from scripts.dev_stack import manager, processes
from scripts.dev_stack.file_lock import locked
from scripts.dev_stack.paths import own_folder, service_user, write_own_file
from scripts.dev_stack.ports import free_port
from scripts.dev_stack.processes import SMARTTRIP
from scripts.dev_stack.wait import http_ok, until
from scripts.errors import CliError
from scripts.gateway.configuration import GatewayConfiguration

PROCESSES: Mapping[Role, int] = {**dict.fromkeys(ROLES, 1), "recommendations": 2}
"""Number of API processes of each role."""
WORKERS = 2
GATEWAY = "gateway"
OWNER = "SMARTTRIP_STACK"
"""Environment variable by which a process is recognised: process ids are reused."""
SECONDS_TO_START = 180
"""The first index may have to be built."""


@dataclass
class Process:
    pid: int
    port: int
    """Port of its probes; of the gateway, for https."""


@dataclass(frozen=True)
class Member:
    """A process that is to run, and its environment beyond the addresses of the services."""

    name: str
    role: Role | None = None

    def command(self, port: int) -> list[str]:
        return [SMARTTRIP, "serve", "--port", str(port)] if self.role else [SMARTTRIP, "worker"]

    def variables(self, port: int) -> dict[str, str]:
        return {"ROLES": self.role, "TRUSTED_PROXIES": "127.0.0.1"} if self.role else {"WORKER_PORT": str(port)}


def members() -> Iterator[Member]:
    yield from (Member(f"worker-{number}") for number in range(1, WORKERS + 1))
    for role, count in PROCESSES.items():
        yield from (Member(f"{role}-{number}", role) for number in range(1, count + 1))


def up(data: Path, services: Mapping[str, str] | None = None, *, die_with_parent: bool = False) -> None:
    """Start what does not run, and wait until all of it is ready. Raises: CliError.

    `services` are the settings that lead to the services, by default to those of the folder. With `die_with_parent` the
    processes end when we do, even if we are killed.
    """
    nginx = _nginx()
    environment = {**os.environ, **(services or manager.environment(data)), OWNER: str(data)}
    migrated = subprocess.run([SMARTTRIP, "migrate"], env=environment, capture_output=True, text=True, check=False)
    if migrated.returncode != 0:
        raise CliError(f"The database cannot be migrated: {migrated.stderr.strip()}")
    with locked(data / "split.lock"):
        found = _start_members(data, environment, die_with_parent)
        found[GATEWAY] = _start_gateway(data, nginx, found, environment, die_with_parent)
        _write(data, found)


def start_members(data: Path, services: Mapping[str, str], *, die_with_parent: bool) -> None:
    """Start the processes behind the gateway that do not run, each on its port, and wait until all are ready.

    Raises: CliError.
    """
    with locked(data / "split.lock"):
        _start_members(data, {**os.environ, **services, OWNER: str(data)}, die_with_parent)


def _start_members(data: Path, environment: Mapping[str, str], die_with_parent: bool) -> dict[str, Process]:
    found = read(data)
    for member in members():
        found[member.name] = _started(data, member, found.get(member.name), environment, die_with_parent)
        _write(data, found)
    for member in members():
        _wait_until_ready(data, member.name, found[member.name])
    return found


def down(data: Path) -> list[str]:
    """Stop the processes that run, the gateway first, and return their names."""
    if not _file(data).exists():
        return []
    with locked(data / "split.lock"):
        found, stopped = read(data), []
        for names in ([GATEWAY], [member.name for member in members()]):
            running = [name for name in names if name in found and runs(data, found[name])]
            processes.stop({found[name].pid: SIGTERM for name in running})
            stopped += running
        _file(data).unlink()
    return stopped


def status(data: Path) -> dict[str, str | None]:
    """Return the address of each process, or None if it does not run, by name; nothing after `down`."""
    return {name: _url(name, process) if runs(data, process) else None for name, process in read(data).items()}


def _url(name: str, process: Process) -> str:
    return f"{'https' if name == GATEWAY else 'http'}://127.0.0.1:{process.port}"


def read(data: Path) -> dict[str, Process]:
    path = _file(data)
    return {name: Process(**values) for name, values in json.loads(path.read_text()).items()} if path.exists() else {}


def runs(data: Path, process: Process) -> bool:
    try:
        found = psutil.Process(process.pid)
        # nginx writes its title over its environment.
        return found.environ().get(OWNER) == str(data) or str(data / GATEWAY) in " ".join(found.cmdline())
    except psutil.Error:
        return False


def _nginx() -> str:
    path = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if path is None:
        raise CliError("The split topology needs nginx. On Debian: apt-get install nginx-light.")
    return path


def _started(
    data: Path, member: Member, known: Process | None, environment: Mapping[str, str], die_with_parent: bool
) -> Process:
    if known is not None and runs(data, known):
        return known
    port = free_port(known.port if known else None)
    env = {**environment, **member.variables(port)}
    signal = SIGTERM if die_with_parent else None
    started = processes.start(member.command(port), data / f"{member.name}.log", env=env, die_with_parent=signal)
    return Process(started.pid, port)


def _wait_until_ready(data: Path, name: str, process: Process) -> None:
    if not until(lambda: http_ok(process.port, "/readyz") or not runs(data, process), SECONDS_TO_START):
        raise CliError(f"{name} is not ready within {SECONDS_TO_START} s: its log is {data / name}.log.")
    if not runs(data, process):
        raise CliError(f"{name} does not stay up; its log is {data / name}.log.")


def _start_gateway(
    data: Path, nginx: str, found: Mapping[str, Process], environment: Mapping[str, str], die_with_parent: bool
) -> Process:
    """Start nginx, or have it read the configuration again if it runs."""
    folder, known = own_folder(data / GATEWAY), found.get(GATEWAY)
    is_running = known is not None and runs(data, known)
    port = known.port if known and is_running else free_port(known.port if known else None)
    configuration = GatewayConfiguration(
        folder=folder,
        tls_port=port,
        plain_port=None,
        upstreams={role: _ports(found, role) for role in PROCESSES},
        certificate=_certificate(folder),
    )
    configuration.write()
    if known is not None and is_running:
        os.kill(known.pid, SIGHUP)
        return known
    command = [nginx, "-p", str(folder), "-c", str(configuration.path), "-e", "stderr", "-g", "daemon off;"]
    signal = SIGTERM if die_with_parent else None
    process = processes.start(
        command, data / f"{GATEWAY}.log", env=environment, user=service_user(), die_with_parent=signal
    )
    gateway = Process(process.pid, port)
    # It accepts connections once its configuration is read: plain requests are redirected, or refused by its TLS port.
    if not until(lambda: process.poll() is not None or _accepts(port), 20) or process.poll() is not None:
        raise CliError(f"The gateway does not start; its log is {data / GATEWAY}.log.")
    return gateway


def _certificate(folder: Path) -> Path:
    """Return the file with a certificate of this machine's loopback, and its key; it is made once."""
    path = folder / "pair.pem"
    if not path.exists():
        names = "subjectAltName=IP:127.0.0.1,DNS:localhost"
        options = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650"]
        command = ["openssl", "req", "-x509", *options, "-subj", "/CN=SmartTrip on this machine", "-addext", names]
        made = subprocess.run([*command, "-keyout", "-", "-out", "-"], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise CliError(f"openssl makes no certificate: {made.stderr.strip()}")
        write_own_file(path, made.stdout)
    return path


def _accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _file(data: Path) -> Path:
    return data / "split.json"


def _write(data: Path, found: Mapping[str, Process]) -> None:
    scratch = _file(data).with_suffix(".new")
    scratch.write_text(json.dumps({name: asdict(process) for name, process in found.items()}))
    scratch.rename(_file(data))


def _ports(found: Mapping[str, Process], role: Role) -> tuple[int, ...]:
    return tuple(found[member.name].port for member in members() if member.role == role)
