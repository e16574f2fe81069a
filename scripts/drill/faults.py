"""The faults of a drill, in the order in which they are tried: those after which a part is missing come last."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from scripts.dev_stack.elasticsearch.cluster import Node, slowed
from scripts.drill.servers import promote
from scripts.drill.topology import Topology

SECONDS = 8.0
"""How long a fault lasts that ends by itself, or a process is missing."""
SHORT_SECONDS = 4.0


@dataclass(frozen=True)
class Fault:
    cause: Callable[[Topology], Awaitable[None]]
    """Causes the fault, and repairs what an operator would have to repair."""
    may_degrade: bool = False
    """Whether searches may be answered from one source alone meanwhile, marked as degraded."""


async def _wait(system: Topology) -> None:
    """Cause nothing: the row to compare the others with."""
    await asyncio.sleep(SECONDS)


async def _kill_api(system: Topology) -> None:
    await _kill(system, "recommendations-1")


async def _stop_api(system: Topology) -> None:
    async with system.suspended("recommendations-1"):
        await asyncio.sleep(SHORT_SECONDS)


async def _kill_upstream(system: Topology) -> None:
    """Leave the gateway without any process that has reference data."""
    await _kill(system, "resources-1")


async def _kill_worker(system: Topology) -> None:
    await _kill(system, "worker-1")


async def _stop_worker(system: Topology) -> None:
    async with system.suspended("worker-1"):
        await asyncio.sleep(SECONDS)


async def _kill(system: Topology, name: str) -> None:
    system.kill(name)
    await asyncio.sleep(SHORT_SECONDS)
    await system.start_missing()


async def _kill_data_node(system: Topology) -> None:
    await _replace(system, await system.cluster.data_node(), Node.kill)


async def _kill_master(system: Topology) -> None:
    await _replace(system, await system.cluster.master(), Node.kill)


async def _kill_two_nodes(system: Topology) -> None:
    for node in system.cluster.nodes[:2]:
        await _replace(system, node, Node.kill)


async def _restart_nodes(system: Topology) -> None:
    for node in system.cluster.nodes:
        await _replace(system, node, Node.shut_down)


async def _replace(system: Topology, node: Node, end: Callable[[Node], None]) -> None:
    """End a node, and start it again: once the others know, but before they copy what it had, which they put off."""
    await asyncio.to_thread(end, node)
    await system.cluster.wait_until_joined(len(system.cluster.nodes) - 1)
    await asyncio.sleep(SHORT_SECONDS)
    await asyncio.to_thread(node.start)
    await system.cluster.wait_until_green()


async def _stop_node(system: Topology) -> None:
    node = await system.cluster.data_node()
    node.stop()
    try:
        await system.cluster.wait_until_joined(len(system.cluster.nodes) - 1)
        await asyncio.sleep(SHORT_SECONDS)
    finally:
        node.resume()


async def _slow_node(system: Topology) -> None:
    async with slowed(await system.cluster.data_node()):
        await asyncio.sleep(SECONDS)


async def _fill_disk(system: Topology) -> None:
    """Put the last node over all watermarks of its disk: Elasticsearch moves its shards to the others."""
    async with system.cluster.full_disk(system.cluster.nodes[-1]):
        await asyncio.sleep(SECONDS)


async def _fail_over_redis(system: Topology) -> None:
    system.redis.kill()
    await asyncio.sleep(SECONDS)


async def _fail_over_postgres(system: Topology) -> None:
    system.primary.kill()
    await promote(system.standby)


FAULTS: Mapping[str, Fault] = {
    "none": Fault(_wait),
    "api-killed": Fault(_kill_api),
    "api-stopped": Fault(_stop_api),
    "upstream-killed": Fault(_kill_upstream),
    "worker-killed": Fault(_kill_worker),
    "worker-stopped": Fault(_stop_worker),
    "data-node-killed": Fault(_kill_data_node),
    "master-killed": Fault(_kill_master),
    "two-nodes-killed": Fault(_kill_two_nodes),
    "nodes-restarted": Fault(_restart_nodes),
    "node-stopped": Fault(_stop_node),
    "node-slow": Fault(_slow_node),
    "disk-full": Fault(_fill_disk),
    "redis-failover": Fault(_fail_over_redis),
    "postgres-failover": Fault(_fail_over_postgres, may_degrade=True),
}
