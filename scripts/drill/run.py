"""Run a drill: cause one fault after the other under load, and compare everything at the end."""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress

from indexer.rebuild.verify import verify
from scripts.dev_stack.wait import wait_until
from scripts.drill.faults import FAULTS
from scripts.drill.load_generator import load_client
from scripts.drill.prices import Prices
from scripts.drill.report import DrillResult, FaultResult, evaluate
from scripts.drill.topology import SECONDS_TO_HEAL, Topology, running_topology
from scripts.drill.traffic import STEADY_SECONDS, Traffic, find_rate, running_traffic
from scripts.errors import CliError

STORED_ONCE = """
SELECT count(*) FROM (SELECT FROM events WHERE session_id = ANY($1::uuid[]) GROUP BY session_id HAVING count(*) = 1) e
"""


async def run_drill(faults: Sequence[str], departures: int, report: Callable[[FaultResult], None]) -> DrillResult:
    """Run a system, and return what its clients saw of the faults; `report` gets each result. Raises: CliError."""
    async with running_topology(departures) as system:
        async with load_client(system.url, tls=system.tls) as load:
            database_url = system.services["DATABASE_URL"]
            prices = Prices()
            rate = await find_rate(load, database_url, prices)
            async with running_traffic(load, database_url, rate, prices) as traffic:
                results = [await _try(system, traffic, fault, report) for fault in faults]
            lost_events = await _lost_events(system, traffic.accepted_events)
        lost_changes = await prices.lost_changes(database_url)
        await system.wait_until_indexed()
        found = await verify(system.settings, repair=False)
        return DrillResult(rate, results, lost_events, lost_changes, len(found.differences))


async def _try(system: Topology, traffic: Traffic, fault: str, report: Callable[[FaultResult], None]) -> FaultResult:
    """Cause a fault, wait until it has healed, and return what happened meanwhile and shortly after."""
    before = len(traffic.observations)
    await FAULTS[fault].cause(system)
    ended = time.monotonic()
    await system.wait_until_whole()
    healed = time.monotonic() - ended
    await asyncio.sleep(STEADY_SECONDS)
    await traffic.settle()
    result = evaluate(fault, traffic.observations[before:], healed)
    report(result)
    return result


async def _lost_events(system: Topology, accepted: Collection[str]) -> int:
    """Return how many of the accepted events are not stored once, when those that are on their way have arrived."""

    async def are_stored() -> bool:
        return await _stored_events(system, accepted) == len(accepted)

    with suppress(CliError):
        await wait_until(are_stored, SECONDS_TO_HEAL / 4, "the events being stored")
    return len(accepted) - await _stored_events(system, accepted)


async def _stored_events(system: Topology, accepted: Collection[str]) -> int:
    """Return how many events of these sessions are stored; one that is stored twice counts as none."""
    return int(str(await system.execute(STORED_ONCE, [*accepted])))
