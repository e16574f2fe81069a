"""Run the suites that depend on servers on every version of them, and write the page, for `make test-versions`."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import asyncpg
from elasticsearch import AsyncElasticsearch
from redis.asyncio import Redis

from scripts.dev_stack.context import running_stack
from scripts.dev_stack.temporary_data import create_data_folder
from scripts.errors import CliError, exit_with
from scripts.versions.page import PAGE, Row, read, render
from scripts.versions.servers import SERVERS, Server

SUITES = ("tests/migrations", "tests/indexer", "tests/app/test_contract.py")
MOST_NAMED = 5
"""Failed tests that a row names."""


def main(names: Sequence[str]) -> int:
    """Run the suites on the servers of these names, by default all, and return 1 if a test failed."""
    chosen = [server for server in SERVERS if not names or server.name in names]
    if not chosen:
        raise CliError(f"No server is called {names[0]}; these are: {', '.join(server.name for server in SERVERS)}.")
    found: dict[str, Row] = {}
    for servers in by_stack(chosen):
        print(f"== {', '.join(server.name for server in servers)}", flush=True)
        found |= try_servers(servers)
        rows = (read(PAGE.read_text()) if PAGE.exists() else {}) | found
        ordered = {server.name: rows[server.name] for server in SERVERS if server.name in rows}
        PAGE.write_text(render(ordered, SUITES))
    return int(any("failed" in outcome or "not" in outcome for row in found.values() for outcome in row[3:]))


def by_stack(servers: Sequence[Server]) -> Sequence[Sequence[Server]]:
    """Group servers that run beside each other: the suites need not run again for each."""
    groups: dict[tuple[int, ...], list[Server]] = {}
    for server in servers:
        groups.setdefault(tuple(map(id, server.stack())), []).append(server)
    return [*groups.values()]


def try_servers(servers: Sequence[Server]) -> dict[str, Row]:
    """Return the rows of servers of one stack."""
    date = datetime.now(UTC).date().isoformat()
    data = create_data_folder("smarttrip-version-")
    try:
        with running_stack(data, ephemeral=True, busy=f"{data} is in use.", services=servers[0].stack()) as services:
            versions = [asyncio.run(version_of(server, services)) for server in servers]
            outcomes = [run_suite(suite, services) for suite in SUITES]
    except CliError as error:
        versions = ["–"] * len(servers)
        outcomes = [f"not run: {error}", *["–"] * (len(SUITES) - 1)]
    rows = zip(servers, versions, strict=True)
    return {server.name: [version, server.source, date, *outcomes] for server, version in rows}


async def version_of(server: Server, services: Mapping[str, str]) -> str:
    """Return the version that the running server tells."""
    url = services[server.service.variable]
    if server.service.name == "postgres":
        connection = await asyncpg.connect(url)
        try:
            return str(await connection.fetchval("SHOW server_version")).partition(" ")[0]
        finally:
            await connection.close()
    if server.service.name == "valkey":
        async with Redis.from_url(url) as redis:
            told = await redis.info()
            return str(told.get("valkey_version") or told["redis_version"])
    async with AsyncElasticsearch(url) as elasticsearch:
        # The stack's own lacks the module that responds to the path /.
        nodes = (await elasticsearch.nodes.info(metric="os"))["nodes"]
        return ", ".join(sorted({str(node["version"]) for node in nodes.values()}))


def run_suite(suite: str, services: Mapping[str, str]) -> str:
    """Return how many tests passed, and which failed; what fails is repeated once, one test after another."""
    with tempfile.TemporaryDirectory() as folder:
        cases = run_tests([suite, "-n", "2"], Path(folder), services)
        if not has_failures(cases):
            return outcome(cases)
        return outcome(cases, run_tests([suite, "--last-failed"], Path(folder), services))


def run_tests(options: Sequence[str], folder: Path, services: Mapping[str, str]) -> Sequence[ElementTree.Element]:
    """Return the test cases of pytest's report; the folder keeps which of them failed."""
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", "-o", f"cache_dir={folder}"]
    subprocess.run([*command, f"--junitxml={report}", *options], env=os.environ | services, check=False)
    return read_cases(report.read_text()) if report.exists() else []


def read_cases(report: str) -> Sequence[ElementTree.Element]:
    return list(ElementTree.fromstring(report).iter("testcase"))  # noqa: S314 -- pytest's own file


def has_failures(cases: Sequence[ElementTree.Element]) -> bool:
    return any(map(has_failed, cases))


def has_failed(case: ElementTree.Element) -> bool:
    return case.find("failure") is not None or case.find("error") is not None


def outcome(cases: Sequence[ElementTree.Element], repeated: Sequence[ElementTree.Element] = ()) -> str:
    """Return what reports of pytest say, of all tests and of those that were repeated, for a cell of the page."""
    if not cases:
        return "not run: pytest wrote no report"
    failed = [case for case in repeated or cases if has_failed(case)]
    if not failed:
        return f"{len(cases)} passed" + (f", {len(repeated)} of them when repeated alone" if repeated else "")
    names = ", ".join(f"`{str(case.get('name')).replace('|', '/')}`" for case in failed[:MOST_NAMED])
    return f"{len(failed)} of {len(cases)} failed: {names}{', ...' if len(failed) > MOST_NAMED else ''}"


if __name__ == "__main__":
    exit_with(main)
