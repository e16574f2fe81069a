"""Behaviour that all cached endpoints share, on a catalogue with rows of every kind."""

import asyncio
import gzip
import time
from collections.abc import Awaitable, Callable

import httpx2
import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.backends.database import Database
from app.endpoints.cached_endpoint import LIST_TOTAL_SECONDS
from app.routes import ENDPOINTS as ALL_ENDPOINTS
from core import clients
from core.configuration.settings import Settings
from indexer.invalidation_publisher import publish
from tests.support.api.responses import get
from tests.support.api.serving import serving
from tests.support.api.shared_database import database_on
from tests.support.eventually import eventually
from tests.support.factories import CatalogueFactory
from tests.support.statements import Statements

ENDPOINTS = {endpoint.path: endpoint for endpoint in ALL_ENDPOINTS if endpoint.cache}

PUBLIC = (
    "/api/locations",
    "/api/countries",
    "/api/countries/{id:int}",
    "/api/guides",
    "/api/guides/{id:int}",
    "/api/trip-types",
    "/api/tags",
    "/api/v2/companies",
    "/api/v2/companies/{id:int}",
    "/api/v2/companies/{id:int}/templates",
)
"""Endpoints whose responses shared caches may store for an hour."""

REVALIDATED = (
    "/api/v2/templates",
    "/api/v2/templates/{id:int}",
    "/api/v2/templates/{id:int}/occurrences",
    "/api/v2/occurrences",
    "/api/v2/occurrences/{id:int}",
    "/api/v2/trip-occurrences",
    "/api/v2/schema-info",
)
"""Endpoints whose responses clients revalidate on every request."""

STATEMENTS = {
    "/api/v2/companies/{id:int}/templates": 5,
    "/api/v2/templates": 4,
    "/api/v2/templates?include_occurrences=true": 5,
    "/api/v2/templates/{id:int}": 3,
    "/api/v2/templates/{id:int}/occurrences": 4,
    "/api/v2/occurrences": 3,
    "/api/v2/occurrences?include_template=false": 2,
    "/api/v2/trip-occurrences": 3,
}
"""Number of statements where it is not 1: a page, its total, and the parent of the list; countries and tags of
templates; of departures with templates first the ids."""

FORMS = [*ENDPOINTS, *(path for path in STATEMENTS if "?" in path)]


@pytest.fixture
async def world(catalogue: CatalogueFactory) -> None:
    """Catalogue in which every list has at least two entries, and every table a row with id 1."""
    company = await catalogue.company()
    for _ in range(2):
        country, tag, kind = await catalogue.country(), await catalogue.tag(), await catalogue.trip_type()
        guide = await catalogue.guide(name_he="")
        template = await catalogue.template(
            company_id=company,
            countries=[country],
            tags=[tag],
            primary_country_id=country,
            trip_type_id=kind,
            properties={"nested": {"list": [1, None, "א"]}},
        )
        for guided_by in (guide, None):
            await catalogue.occurrence(trip_template_id=template, guide_id=guided_by)


def address(path: str) -> str:
    return path.replace("{id:int}", "1")


@pytest.mark.usefixtures("world")
async def test_responses_match_their_models(api: httpx2.AsyncClient) -> None:
    for path in FORMS:
        model = ENDPOINTS[path.partition("?")[0]].response
        assert model is not None
        response = await api.get(address(path))
        assert response.status_code == 200
        read = model.model_validate_json(response.content)
        assert read.model_dump(mode="json", by_alias=True) == response.json(), path


@pytest.mark.usefixtures("world")
async def test_miss_takes_exact_number_of_statements(api: httpx2.AsyncClient, statements: Statements) -> None:
    for path in FORMS:
        statements.clear()
        await api.get(address(path))
        assert len(statements) == STATEMENTS.get(path, 1), path


@pytest.mark.usefixtures("world")
async def test_hit_takes_no_statement(api: httpx2.AsyncClient, statements: Statements) -> None:
    for path in FORMS:
        first = await api.get(address(path))
        statements.clear()
        assert (await api.get(address(path))).content == first.content
        assert statements == [], path


@pytest.mark.usefixtures("world")
async def test_200_concurrent_misses_cause_one_query(api: httpx2.AsyncClient, statements: Statements) -> None:
    answers = await asyncio.gather(*(api.get("/api/locations") for _ in range(200)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert len(statements) == 1


@pytest.mark.usefixtures("world")
async def test_matching_etag_returns_304(api: httpx2.AsyncClient) -> None:
    for path in ENDPOINTS:
        etag = (await api.get(address(path))).headers["etag"]
        for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            response = await api.get(address(path), headers={"If-None-Match": known})
            assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", etag)
        assert (await api.get(address(path), headers={"If-None-Match": '"other"'})).status_code == 200


@pytest.mark.usefixtures("world")
async def test_cache_control_is_that_of_the_policy(api: httpx2.AsyncClient) -> None:
    for path, endpoint in ENDPOINTS.items():
        assert endpoint.cache is not None
        assert (await api.get(address(path))).headers["cache-control"] == endpoint.cache.cache_control, path


@pytest.mark.parametrize("path", PUBLIC)
def test_reference_data_is_public_for_an_hour(path: str) -> None:
    policy = ENDPOINTS[path].cache
    assert policy is not None
    assert policy.cache_control == "public, s-maxage=3600, stale-while-revalidate=86400"
    assert policy.ttl == 3600


@pytest.mark.parametrize("path", REVALIDATED)
def test_trips_are_revalidated_each_time(path: str) -> None:
    policy = ENDPOINTS[path].cache
    assert policy is not None
    assert policy.cache_control == "no-cache"
    # A page may have a total that was kept before.
    assert policy.ttl + (LIST_TOTAL_SECONDS if policy.shares_total else 0) == 60


@pytest.mark.usefixtures("world")
async def test_response_is_compressed_on_request(api: httpx2.AsyncClient) -> None:
    plain = await api.get("/api/v2/occurrences", headers={"Accept-Encoding": "gzip;q=0"})
    assert "content-encoding" not in plain.headers
    async with api.stream("GET", "/api/v2/occurrences", headers={"Accept-Encoding": "gzip"}) as compressed:
        assert compressed.headers["content-encoding"] == "gzip"
        assert compressed.headers["etag"] != plain.headers["etag"]
        body = b"".join([part async for part in compressed.aiter_raw()])
    assert len(body) == int(compressed.headers["content-length"]) < len(plain.content)
    assert gzip.decompress(body) == plain.content


@pytest.mark.usefixtures("world")
async def test_head_has_the_headers_of_get(api: httpx2.AsyncClient) -> None:
    for path in ENDPOINTS:
        whole, head = await api.get(address(path)), await api.head(address(path))
        assert head.status_code == 200
        for name in ("content-type", "content-length", "etag", "cache-control"):
            assert head.headers[name] == whole.headers[name]


async def test_wrong_method_lists_allowed_methods(api: httpx2.AsyncClient) -> None:
    for path in ENDPOINTS:
        response = await api.post(address(path), json={})
        assert response.status_code == 405
        assert set(response.headers["allow"].replace(" ", "").split(",")) == {"GET", "HEAD"}
        assert response.json()["code"] == "method_not_allowed"


CHANGES = [
    ("country", "UPDATE countries SET name = 'New'", ["/api/locations", "/api/countries", "/api/countries/1"]),
    ("guide", "UPDATE guides SET name = 'New'", ["/api/guides", "/api/guides/1", "/api/v2/occurrences/1"]),
    ("type", "UPDATE trip_types SET name = 'New'", ["/api/trip-types", "/api/v2/templates/1"]),
    ("tag", "UPDATE tags SET name = 'New'", ["/api/tags", "/api/v2/templates", "/api/v2/trip-occurrences"]),
    ("company", "UPDATE companies SET name = 'New'", ["/api/v2/companies", "/api/v2/companies/1"]),
    ("company", "UPDATE companies SET name = 'New'", ["/api/v2/companies/1/templates", "/api/v2/templates/1"]),
    ("template", "UPDATE trip_templates SET is_active = false", ["/api/v2/companies/1", "/api/v2/templates"]),
    ("template", "UPDATE trip_templates SET title = 'New'", ["/api/v2/occurrences/1", "/api/v2/occurrences"]),
    ("occurrence", "UPDATE trip_occurrences SET status = 'Full'", ["/api/v2/occurrences", "/api/v2/trip-occurrences"]),
    ("occurrence", "UPDATE trip_occurrences SET notes = 'New'", ["/api/v2/templates/1/occurrences"]),
    (
        "occurrence",
        "UPDATE trip_occurrences SET status = 'Cancelled'",
        ["/api/v2/templates?include_occurrences=true", "/api/v2/schema-info"],
    ),
    ("all", "UPDATE countries SET name = 'New'", ["/api/locations", "/api/v2/occurrences/1"]),
]


def differs(api: httpx2.AsyncClient, path: str, before: bytes) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return (await api.get(path)).content != before

    return check


@pytest.mark.parametrize("case", CHANGES)
@pytest.mark.usefixtures("world")
async def test_change_is_seen_within_two_seconds(
    api: httpx2.AsyncClient, database: AsyncEngine, redis: Redis, case: tuple[str, str, list[str]]
) -> None:
    kind, change, paths = case
    before = {path: (await api.get(path)).content for path in paths}
    async with database.begin() as connection:
        await connection.execute(text(change.replace(" = 'New'", " = 'New' || id")))
    assert [(await api.get(path)).content for path in paths] == list(before.values())
    published_at = time.monotonic()
    await publish(redis, [kind])
    for path, body in before.items():
        await eventually(differs(api, path, body))
    assert time.monotonic() - published_at < 2


@pytest.mark.usefixtures("world")
async def test_second_process_sees_the_change(
    api: httpx2.AsyncClient, database: AsyncEngine, redis: Redis, settings: Settings
) -> None:
    async with database_on(database) as shared, serving(settings, database=shared) as other:
        before = (await api.get("/api/tags")).content
        assert (await other.get("/api/tags")).content == before
        async with database.begin() as connection:
            await connection.execute(text("UPDATE tags SET name_he = name_he || '!'"))
        await publish(redis, ["tag"])
        for client in (api, other):
            await eventually(differs(client, "/api/tags", before))


@pytest.mark.usefixtures("world")
async def test_lists_are_cached_in_the_process_without_redis(
    database: AsyncEngine, settings: Settings, statements: Statements, unused_tcp_port: int
) -> None:
    without = settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{unused_tcp_port}/0"})
    async with database_on(database) as shared, serving(without, database=shared) as api:
        for path in ENDPOINTS:
            assert (await api.get(address(path))).status_code == 200
        statements.clear()
        await asyncio.gather(*(api.get("/api/v2/templates?limit=1") for _ in range(100)))
        assert len(statements) == STATEMENTS["/api/v2/templates"]


async def test_response_without_database_is_503(settings: Settings, redis: Redis, unused_tcp_port: int) -> None:
    await redis.flushdb()
    async with serving(settings, database=nowhere(unused_tcp_port)) as api:
        for path in ENDPOINTS:
            response = await api.get(address(path))
            assert response.status_code == 503, path
            assert int(response.headers["retry-after"]) > 0
            # The web client retries if the message has this word.
            assert "connection" in response.json()["error"]


def nowhere(port: int) -> Database:
    return Database(clients.postgres(f"postgresql+asyncpg://app@127.0.0.1:{port}/postgres"))


@pytest.mark.usefixtures("world")
async def test_stale_response_without_database(
    api: httpx2.AsyncClient, settings: Settings, redis: Redis, unused_tcp_port: int
) -> None:
    before = await get(api, "/api/locations")
    async with serving(settings, database=nowhere(unused_tcp_port)) as late:
        await publish(redis, ["country"])
        response = await late.get("/api/locations")
        await eventually(lambda: _is_stale(late))
    assert response.json() == before


async def _is_stale(api: httpx2.AsyncClient) -> bool:
    return (await api.get("/api/locations")).headers["cache-control"] == "no-cache"
