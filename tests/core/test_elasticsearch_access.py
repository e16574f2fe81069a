"""API and worker reach an Elasticsearch that demands TLS and credentials, and say what is wrong where they do not."""

import base64
from functools import partial
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings, SettingsError, load_settings
from indexer.rebuild.reindex import reindex
from tests.app.conftest import fill
from tests.support.api.serve_process import serve_process
from tests.support.api.serving import serving
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.processes import responds, worker_process
from tests.support.sync import ignore_progress
from tests.support.tls_proxy import CERTIFICATE, tls_proxy

KEY = "VnVhQ2ZHY0JDZGJrUW0tZTVhT3g6dWkybHAyYXhUTm1zeWFrdzl0dk5udw=="
USER = "trips:a-password"
BASIC = f"Basic {base64.b64encode(USER.encode()).decode()}"
SEARCH = "/api/v2/recommendations"


def changed(settings: Settings, **changes: object) -> Settings:
    return load_settings(**{**settings.model_dump(exclude_unset=True), **changes})


@pytest.mark.parametrize("key", [KEY, None], ids=["key", "user"])
async def test_secured_elasticsearch_is_filled_and_searched(
    settings: Settings, engine: AsyncEngine, redis: Redis, key: str | None
) -> None:
    async with tls_proxy(settings.elasticsearch_url, f"ApiKey {key}" if key else BASIC) as proxy:
        secured = changed(
            settings,
            elasticsearch_url=proxy.url("" if key else USER),
            elasticsearch_api_key=key,
            elasticsearch_ca_file=str(CERTIFICATE),
            rate_limit_enabled=False,
        )
        await fill(secured, engine, redis)
        await reindex(secured, ignore_progress)
        async with serving(secured) as api:
            found = await api.post(SEARCH, json={})
            assert found.status_code == 200
            assert "warning" not in found.headers
            assert (await api.get("/readyz")).status_code == 200
        assert proxy.forwarded
        assert proxy.refused == 0


@pytest.mark.parametrize("missing", ["elasticsearch_api_key", "elasticsearch_ca_file"])
async def test_search_without_what_is_demanded_is_degraded(
    settings: Settings, engine: AsyncEngine, redis: Redis, missing: str
) -> None:
    await fill(settings, engine, redis)
    async with tls_proxy(settings.elasticsearch_url, f"ApiKey {KEY}") as proxy:
        access = {"elasticsearch_api_key": KEY, "elasticsearch_ca_file": str(CERTIFICATE), missing: None}
        secured = changed(settings, elasticsearch_url=proxy.url(), **access)
        async with serving(secured) as api:
            found = await api.post(SEARCH, json={})
            assert found.status_code == 200
            assert "warning" in found.headers
            # At its start, a process insists on the index.
            assert (await api.get("/readyz")).status_code == 503
        assert proxy.forwarded == 0


def test_two_credentials_are_refused(settings: Settings) -> None:
    with pytest.raises(SettingsError, match=r"ELASTICSEARCH_API_KEY is wrong: should be alone"):
        changed(settings, elasticsearch_url=f"https://{USER}@127.0.0.1:1", elasticsearch_api_key=KEY)


def test_file_without_certificates_is_refused(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("no certificate")
    for name in ("empty.pem", "missing.pem"):
        with pytest.raises(SettingsError, match=r"ELASTICSEARCH_CA_FILE is wrong: should be a file in PEM format"):
            changed(settings, elasticsearch_ca_file=str(tmp_path / name))


@pytest.mark.slow
async def test_processes_reach_a_secured_elasticsearch(settings: Settings, engine: AsyncEngine, redis: Redis) -> None:
    await fill(settings, engine, redis)
    async with tls_proxy(settings.elasticsearch_url, f"ApiKey {KEY}") as proxy:
        secured = settings.model_copy(update={"elasticsearch_url": proxy.url()})
        access = {"ELASTICSEARCH_API_KEY": KEY, "ELASTICSEARCH_CA_FILE": str(CERTIFICATE)}
        async with (
            worker_process(secured, **access) as worker,
            serve_process(secured, port=None, **access) as api,
            http_client(api.url) as client,
        ):
            for process in (worker, api):
                await eventually(partial(responds, f"{process.url}/readyz"), within=60)
            found = await client.post(SEARCH, json={})
            assert (found.status_code, "warning" in found.headers) == (200, False)
        assert proxy.refused == 0
