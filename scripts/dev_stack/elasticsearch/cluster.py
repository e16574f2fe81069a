"""An Elasticsearch cluster of three nodes on the loopback interface, whose nodes may be killed, stopped and slowed."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM
from subprocess import Popen
from typing import Any

import psutil
from elasticsearch import ApiError, AsyncElasticsearch, TransportError

from core import clients
from scripts.dev_stack import processes
from scripts.dev_stack.elasticsearch.command import class_cache, node_command
from scripts.dev_stack.elasticsearch.install import home
from scripts.dev_stack.paths import own_folder, service_user
from scripts.dev_stack.ports import free_port
from scripts.dev_stack.wait import wait_until
from scripts.errors import CliError

NODES = 3
SECONDS_TO_START = 180
START_NICENESS = 10
ALLOCATION = "cluster.routing.allocation"
JAVA_OPTIONS = "-XX:TieredStopAtLevel=1"
"""The nodes share this machine: the optimizing compiler of one that starts would take the processors of all."""


class Node:
    def __init__(self, name: str, folder: Path, seeds: dict[str, int]) -> None:
        """`seeds` are the ports on which the nodes of the cluster speak to each other, by name."""
        self.name = name
        self.port = free_port()
        self.folder = folder
        self._seeds = seeds
        self._process: Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the node, which is not necessarily ready yet."""
        settings = {
            "cluster.name": "smarttrip-cluster",
            "node.name": self.name,
            "discovery.type": "multi-node",
            "transport.port": self._seeds[self.name],
            "discovery.seed_hosts": ",".join(f"127.0.0.1:{port}" for port in self._seeds.values()),
            "cluster.initial_master_nodes": ",".join(self._seeds),
            # One that is killed is left out as its connections break; one that stops, after three checks.
            "cluster.fault_detection.follower_check.timeout": "1s",
            "cluster.fault_detection.leader_check.timeout": "1s",
        }
        command = node_command(home(), own_folder(self.folder), self.port, f"-XX:AOTCache={class_cache(home())}")
        command += [f"{name}={value}" for name, value in settings.items()]
        log, env = self.folder.with_suffix(".log"), {**os.environ, "JDK_JAVA_OPTIONS": JAVA_OPTIONS}
        self._process = processes.start(command, log, env=env, user=service_user(), die_with_parent=SIGKILL)
        # On a machine of its own, a node that starts takes no processor of the others.
        psutil.Process(self._process.pid).nice(min(19, os.getpriority(os.PRIO_PROCESS, 0) + START_NICENESS))

    def settle(self) -> None:
        """Give a node that has started our priority, if we may."""
        if self._process is not None:
            for thread in psutil.Process(self._process.pid).threads():
                with suppress(OSError):
                    os.setpriority(os.PRIO_PROCESS, thread.id, os.getpriority(os.PRIO_PROCESS, 0))

    def kill(self) -> None:
        """Kill the process of the node: it ends without telling the others."""
        self._end(SIGKILL)

    def shut_down(self) -> None:
        """Have the node leave the cluster and end, as an operator would."""
        self._end(SIGTERM)

    def stop(self) -> None:
        """Suspend the node: its connections stay, and nothing is answered."""
        self._signal(SIGSTOP)

    def resume(self) -> None:
        self._signal(SIGCONT)

    def _signal(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()
            self._process = None


class Cluster:
    def __init__(self, nodes: list[Node], client: AsyncElasticsearch) -> None:
        self.nodes = nodes
        self.client = client

    @property
    def url(self) -> str:
        return ",".join(node.url for node in self.nodes)

    async def wait_until_joined(self, nodes: int) -> None:
        """Return once the elected master knows exactly so many nodes. Raises: CliError."""

        async def has_nodes() -> bool:
            health = await self._health(str(nodes))
            return health is not None and health["number_of_nodes"] == nodes

        await wait_until(has_nodes, SECONDS_TO_START, f"an Elasticsearch cluster of {nodes} nodes")

    async def wait_until_green(self) -> None:
        """Return once all nodes are there, and all copies of all shards are. Raises: CliError."""

        async def is_green() -> bool:
            health = await self._health(str(len(self.nodes)))
            return health is not None and health["status"] == "green" and not health["timed_out"]

        await wait_until(is_green, SECONDS_TO_START, "a green Elasticsearch cluster")
        for node in self.nodes:
            node.settle()

    async def _health(self, nodes: str) -> Mapping[str, Any] | None:
        """Return the health of the cluster, after waiting a second at most for so many nodes; None if there is none."""
        try:
            health: Mapping[str, Any] = (await self.client.cluster.health(wait_for_nodes=nodes, timeout="1s")).body
        except (ApiError, TransportError):
            return None
        return health

    async def master(self) -> Node:
        """Return the elected master."""
        (row,) = await self.client.cat.master(format="json")
        return next(node for node in self.nodes if node.name == row["node"])  # type: ignore[index]

    async def data_node(self) -> Node:
        """Return a node that is not the elected master."""
        master = await self.master()
        return next(node for node in self.nodes if node is not master)

    @asynccontextmanager
    async def full_disk(self, node: Node) -> AsyncIterator[None]:
        """Set the watermarks of disks, for the block, so that those with as much room as this node's are too full.

        The node has copies before, and none when the block begins. Raises: CliError.
        """
        other = next(each for each in self.nodes if each is not node)
        room = {each.name: shutil.disk_usage(each.folder).free for each in self.nodes}
        low = (room[node.name] + min(room[each.name] for each in self.nodes if each is not node)) // 2
        if low <= room[node.name]:
            raise CliError(f"The disk of {node.folder} has as much room as the others: watermarks are of disks.")
        try:
            await self._configure({f"{ALLOCATION}.exclude._name": other.name})
            await wait_until(lambda: self._has_copies(node), SECONDS_TO_START, f"copies on {node.name}")
            watermarks = dict.fromkeys(("low", "high"), f"{low}b") | {"flood_stage": "1b"}
            await self._configure(
                {f"{ALLOCATION}.disk.watermark.{name}": value for name, value in watermarks.items()}
                | {f"{ALLOCATION}.disk.threshold_enabled": True, f"{ALLOCATION}.exclude._name": None}
            )
            await wait_until(lambda: self._lacks_copies(node), SECONDS_TO_START, f"no copies on {node.name}")
            yield
        finally:
            await self._configure({f"{ALLOCATION}.*": None})

    async def _configure(self, settings: Mapping[str, object]) -> None:
        await self.client.cluster.put_settings(persistent={"cluster.info.update.interval": "10s", **settings})

    async def _has_copies(self, node: Node) -> bool:
        return node.name in {row["node"] for row in await self.client.cat.shards(format="json")}  # type: ignore[index]

    async def _lacks_copies(self, node: Node) -> bool:
        return not await self._has_copies(node)


@asynccontextmanager
async def running_cluster(folder: Path, *, last_data: Path | None = None) -> AsyncIterator[Cluster]:
    """Run the nodes with their data in `folder`, of the last one in `last_data`; yield when the cluster is green.

    The services' user must be able to enter the folders. Raises: CliError.
    """
    names = [f"node-{number}" for number in range(1, NODES + 1)]
    seeds = {name: free_port() for name in names}
    folders = {name: folder / name for name in names}
    if last_data is not None:
        folders[names[-1]] = last_data
    async with AsyncExitStack() as stack:
        nodes = [Node(name, folders[name], seeds) for name in names]
        for node in nodes:
            stack.callback(node.kill)
            await asyncio.to_thread(node.start)
        client = clients.elasticsearch(",".join(node.url for node in nodes), timeout=10)
        stack.push_async_callback(client.close)
        cluster = Cluster(nodes, client)
        await cluster.wait_until_green()
        yield cluster


@asynccontextmanager
async def slowed(node: Node, *, stopped: float = 0.08, running: float = 0.02) -> AsyncIterator[None]:
    """Have a node run for so many seconds, then stand still for so many, in turns."""

    async def alternate() -> None:
        while True:
            node.stop()
            await asyncio.sleep(stopped)
            node.resume()
            await asyncio.sleep(running)

    task = asyncio.create_task(alternate())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        node.resume()
