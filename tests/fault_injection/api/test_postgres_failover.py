"""The primary is killed and its standby promoted: clients follow by the hosts of their URL or by a pooler's switch."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import asyncpg
import pytest
from sqlalchemy.engine import make_url

import migrations
from core import clients
from core.concurrency.tasks import background_task
from core.configuration.postgres_url import PostgresAddress, parse_postgres_url
from core.configuration.settings import Settings
from core.postgres.connection import connect
from indexer.index.admin import all_names, live_index
from scripts import sample_data
from scripts.dev_stack.postgres import POSTGRES
from scripts.drill.load_generator import Outcome, Request, failures, load_client, visitor
from scripts.drill.prices import CHANGE
from scripts.drill.servers import Server, follow_synchronously, promote, server, standby
from tests.app.conftest import ADMIN_KEY
from tests.conftest import TODAY, drop_indices
from tests.support.api.serve_process import serve_process
from tests.support.eventually import eventually
from tests.support.pgbouncer import BINARY, pgbouncer
from tests.support.processes import responds, worker_process
from tests.support.sync import is_in_sync

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

DEPARTURES = 500
REINDEX_RATE = 50
"""Departures a second: a reindex takes ten seconds."""
CHANGES_PER_SECOND = 20
RATE = 20
"""Requests a second."""
PATIENT = {"REDIS_SECONDS": "4"}
"""Variables under which Redis, which is not what fails here, does not count as failed on a busy machine."""


def requests() -> Iterator[Request]:
    number = 0
    while True:
        number += 1
        yield Request("search", "POST", "/api/v2/recommendations", {"budget": 3000 + number})
        yield Request("resource", "GET", "/api/tags")
        yield Request("event", "POST", "/api/events", visitor(event_type="page_view"))
        yield Request("session", "POST", "/api/session/start", visitor())


def url_of(*servers: Server) -> str:
    """Return a URL with the hosts of all, of which the one that accepts writes is used."""
    hosts = ",".join(urlsplit(each.url).netloc.rpartition("@")[2] for each in servers)
    first = urlsplit(servers[0].url)
    credentials = first.netloc.rpartition("@")[0]
    return f"postgresql+asyncpg://{credentials}@{hosts}{first.path}?target_session_attrs=read-write"


@dataclass(frozen=True)
class Route:
    """How processes find the primary."""

    database_url: str
    follow: Callable[[Server], None]
    """What an operator does once a standby is promoted."""


@asynccontextmanager
async def by_hosts(primary: Server, second: Server) -> AsyncIterator[Route]:
    yield Route(url_of(primary, second), lambda promoted: None)


@asynccontextmanager
async def by_pooler(primary: Server, second: Server) -> AsyncIterator[Route]:
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        async with pgbouncer(primary.url, Path(folder) / "pgbouncer") as pooler:
            url = make_url(pooler.url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)
            yield Route(url, lambda promoted: pooler.lead_to(promoted.url))


@asynccontextmanager
async def own_names(settings: Settings, database_url: str, direct_url: str) -> AsyncIterator[Settings]:
    """Settings of an installation of its own on the shared servers."""
    names = {"redis_prefix": "failover:", "elasticsearch_alias": f"{settings.elasticsearch_alias}_failover"}
    urls = {"database_url": database_url, "database_direct_url": direct_url}
    own = settings.model_copy(update={**urls, **names})
    await drop_indices(own)
    try:
        yield own
    finally:
        await drop_indices(own)


class Writer:
    """An application that gives departures one price after another, and connects again when that fails."""

    def __init__(self, *servers: Server) -> None:
        self._url = url_of(*servers).replace("+asyncpg", "")
        self.committed: dict[int, int] = {}
        """The last price of each departure whose commit was confirmed."""

    async def run(self) -> None:
        prices = itertools.count(1000)
        while True:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                connection = await asyncpg.connect(self._url, timeout=5, command_timeout=5)
                try:
                    for price in prices:
                        departure = 1 + price % DEPARTURES
                        await connection.execute(CHANGE, Decimal(price), departure)
                        self.committed[departure] = price
                        await asyncio.sleep(1 / CHANGES_PER_SECOND)
                finally:
                    connection.terminate()
            await asyncio.sleep(0.1)


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    "route_to",
    [
        by_hosts,
        pytest.param(by_pooler, marks=pytest.mark.skipif(BINARY is None, reason="needs PgBouncer")),
    ],
)
async def test_promoted_standby_takes_over_from_searches_events_writers_and_a_reindex(
    settings: Settings, route_to: Callable[[Server, Server], AbstractAsyncContextManager[Route]]
) -> None:
    async with (
        server(POSTGRES) as primary,
        standby(primary) as second,
        route_to(primary, second) as route,
        own_names(settings, route.database_url, url_of(primary, second)) as own,
    ):
        await second.start()
        await follow_synchronously(primary)
        await asyncio.to_thread(migrations.upgrade, own.direct_url)
        await sample_data.seed(own.direct_url, DEPARTURES, today=TODAY)
        async with (
            worker_process(own, REINDEX_RATE=str(REINDEX_RATE), **PATIENT) as worker,
            serve_process(own, port=None, ADMIN_KEY=ADMIN_KEY, **PATIENT) as api,
        ):
            for url in (worker.url, api.url):
                await eventually(partial(responds, f"{url}/readyz"), within=120)
            first, writer = await live(own), Writer(primary, second)
            async with load_client(api.url) as load, background_task(writer.run()):
                sent, outcomes = requests(), list[Outcome]()

                async def is_well() -> bool:
                    found = await load.run(sent, rate=RATE, seconds=1)
                    outcomes.extend(outcome for outcome in found if outcome.kind == "event" and outcome.succeeded)
                    return all(outcome.succeeded for outcome in found)

                await eventually(is_well, within=60)
                await begin_reindex(own, api.url)
                primary.kill()
                during = asyncio.create_task(load.run(sent, rate=RATE, seconds=4))
                await promote(second)
                route.follow(second)
                outcomes += await during
                await eventually(is_well, within=60)
                # The reindex begins anew by itself.
                await eventually(partial(is_another, own, first), within=120)
            assert failures(outcomes) == []
            assert [outcome for outcome in outcomes if outcome.kind != "session" and not outcome.succeeded] == []
            await eventually(partial(events_are_stored, second, outcomes), within=60)
            await assert_committed(second, writer.committed)
            await eventually(partial(is_in_sync, own), within=60)


async def begin_reindex(own: Settings, api: str) -> None:
    """Request a reindex, and return while its index is being loaded."""
    async with load_client(api, Authorization=f"Bearer {ADMIN_KEY}") as admin:
        assert (await admin.send(Request("reindex", "POST", "/api/admin/reindex"))).status == 202
    first = await live(own)
    await eventually(partial(is_loading, own), within=60)
    assert await live(own) == first


async def live(own: Settings) -> str | None:
    async with clients.elasticsearch(own.elasticsearch_url, timeout=30) as client:
        return await live_index(client, own.search_alias)


async def is_loading(own: Settings) -> bool:
    """Return whether an index that is not in use yet has documents."""
    async with clients.elasticsearch(own.elasticsearch_url, timeout=30) as client:
        names = await all_names(client, own.search_alias) - {await live(own)}
        if not names:
            return False
        await client.indices.refresh(index=list(names))
        return bool((await client.count(index=list(names)))["count"])


async def is_another(own: Settings, first: str | None) -> bool:
    return await live(own) not in (None, first)


async def assert_committed(second: Server, committed: Mapping[int, int]) -> None:
    """Assert that no price is older than the last one whose commit was confirmed."""
    connection = await asyncpg.connect(second.url)
    try:
        rows = await connection.fetch("SELECT id, price_override FROM trip_occurrences WHERE price_override >= 1000")
    finally:
        await connection.close()
    prices = {row["id"]: row["price_override"] for row in rows}
    assert committed
    assert [found for found, price in committed.items() if prices.get(found, 0) < price] == []


async def events_are_stored(second: Server, outcomes: list[Outcome]) -> bool:
    accepted = sum(outcome.kind == "event" and outcome.succeeded for outcome in outcomes)
    connection = await asyncpg.connect(second.url)
    try:
        return bool(await connection.fetchval("SELECT count(*) FROM events") == accepted)
    finally:
        await connection.close()


async def test_old_primary_that_comes_back_is_left_out(settings: Settings) -> None:
    async with server(POSTGRES) as primary, standby(primary) as second:
        await second.start()
        await follow_synchronously(primary)
        address = parse_postgres_url(url_of(primary, second))
        assert await port_of_new_connection(address) == urlsplit(primary.url).port
        primary.kill()
        await promote(second)
        assert await port_of_new_connection(address) == urlsplit(second.url).port
        await primary.start()
        old = await connect(parse_postgres_url(primary.url))
        try:
            assert await old.fetchval("SELECT NOT pg_is_in_recovery()")
        finally:
            await old.close()
        for attributes in ("read-write", "primary"):
            assert (
                await port_of_new_connection(
                    parse_postgres_url(f"{url_of(primary, second).partition('?')[0]}?target_session_attrs={attributes}")
                )
                == urlsplit(second.url).port
            )


async def port_of_new_connection(address: PostgresAddress) -> int:
    connection = await connect(address)
    try:
        return int(await connection.fetchval("SELECT inet_server_port()"))
    finally:
        await connection.close()
