"""The primary is killed and its standby promoted; clients find it by the hosts of their URL."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

import asyncpg
import pytest

import migrations
from core.configuration.postgres_url import PostgresAddress, parse_postgres_url
from core.configuration.settings import Settings
from core.postgres.connection import connect
from scripts import sample_data
from scripts.dev_stack.postgres import POSTGRES
from scripts.drill.load_generator import LoadClient, Outcome, Request, failures, load_client, visitor
from scripts.drill.servers import Server, follow_synchronously, promote, server, standby
from tests.conftest import TODAY, drop_indices
from tests.support.api.serve_process import serve_process
from tests.support.eventually import eventually
from tests.support.processes import responds, worker_process
from tests.support.sync import is_in_sync

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

DEPARTURES = 500


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


@asynccontextmanager
async def own_names(settings: Settings, database_url: str) -> AsyncIterator[Settings]:
    """Settings of an installation of its own on the shared servers."""
    names = {"redis_prefix": "failover:", "elasticsearch_alias": f"{settings.elasticsearch_alias}_failover"}
    own = settings.model_copy(update={"database_url": database_url, "database_direct_url": None, **names})
    await drop_indices(own)
    try:
        yield own
    finally:
        await drop_indices(own)


@pytest.mark.usefixtures("database")
async def test_promoted_standby_takes_over_and_no_accepted_event_is_lost(settings: Settings) -> None:
    async with (
        server(POSTGRES) as primary,
        standby(primary) as second,
        own_names(settings, url_of(primary, second)) as own,
    ):
        await second.start()
        await follow_synchronously(primary)
        await asyncio.to_thread(migrations.upgrade, own.database_url)
        await sample_data.seed(own.database_url, DEPARTURES, today=TODAY)
        async with (
            worker_process(own) as worker,
            serve_process(own) as api,
            load_client(api.url) as load,
        ):
            for url in (worker.url, api.url):
                await eventually(partial(responds, f"{url}/readyz"), within=120)
            outcomes = await load.run(requests(), rate=20, seconds=2)
            assert [outcome for outcome in outcomes if not outcome.succeeded] == []
            primary.kill()
            during = asyncio.create_task(load.run(requests(), rate=20, seconds=4))
            await promote(second)
            outcomes += await during
            await eventually(partial(sessions_start, load), within=60)
            after = await load.run(requests(), rate=20, seconds=2)
            assert [outcome for outcome in after if not outcome.succeeded] == []
            outcomes += after
            assert failures(outcomes) == []
            assert [outcome for outcome in outcomes if outcome.kind != "session" and not outcome.succeeded] == []
            await eventually(partial(events_are_stored, second, outcomes), within=60)
            await eventually(partial(is_in_sync, own), within=60)


async def sessions_start(load: LoadClient) -> bool:
    return (await load.send(Request("session", "POST", "/api/session/start", visitor()))).succeeded


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
