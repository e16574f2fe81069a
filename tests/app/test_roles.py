"""A process serves the endpoints of its roles, and connects only to the servers that these need."""

from collections import Counter
from collections.abc import Iterable

import pytest

from app.endpoints.endpoint import Endpoint
from app.routes import ENDPOINTS, endpoints_of
from core.configuration.roles import ROLES, Role
from core.configuration.settings import Settings
from tests.support.api.serving import serving
from tests.support.dependency_proxies import dependency_proxies

UNLIMITED = {"rate_limit_enabled": False}


def names(endpoints: Iterable[Endpoint]) -> set[tuple[str, str]]:
    return {(endpoint.method, endpoint.path) for endpoint in endpoints}


def url(endpoint: Endpoint) -> str:
    return endpoint.path.replace("{id:int}", "1")


def test_every_endpoint_has_one_role_or_is_everywhere() -> None:
    everywhere = names(endpoints_of([]))
    served = Counter(name for role in ROLES for name in names(endpoints_of([role])) - everywhere)
    assert set(served) | everywhere == names(ENDPOINTS)
    assert set(served.values()) == {1}


def test_all_roles_serve_everything() -> None:
    assert names(endpoints_of(ROLES)) == names(ENDPOINTS)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.usefixtures("sample_index")
async def test_process_serves_paths_of_its_role_alone(settings: Settings, role: Role) -> None:
    own = {endpoint.path for endpoint in endpoints_of([role])}
    async with serving(settings.model_copy(update={"roles": [role], **UNLIMITED})) as api:
        for endpoint in ENDPOINTS:
            # No endpoint has this method: 405 where the path exists.
            response = await api.request("TRACE", url(endpoint))
            assert response.status_code == (405 if endpoint.path in own else 404), endpoint.path
        assert (await api.get("/readyz")).status_code == 200
        assert f'smarttrip_role{{role="{role}"}} 1.0' in (await api.get("/metrics")).text


@pytest.mark.parametrize("role", ["resources", "events"])
@pytest.mark.usefixtures("database")
async def test_process_without_searches_never_connects_to_elasticsearch(settings: Settings, role: Role) -> None:
    async with dependency_proxies(settings.model_copy(update={"roles": [role], **UNLIMITED})) as proxied:
        async with serving(proxied.settings) as api:
            for endpoint in endpoints_of([role]):
                await api.request(endpoint.method, url(endpoint), content=b"{}" if endpoint.body else None)
        assert proxied["elasticsearch"].connections == []
        assert proxied["postgres"].connections


@pytest.mark.usefixtures("database")
async def test_events_process_receives_no_invalidations(settings: Settings) -> None:
    async with dependency_proxies(settings.model_copy(update={"roles": ["events"], **UNLIMITED})) as proxied:
        async with serving(proxied.settings) as api:
            assert (await api.get("/livez")).status_code == 200
        assert all(b"SUBSCRIBE" not in connection.sent for connection in proxied["redis"].connections)
