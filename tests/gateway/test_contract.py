"""The contract holds through the gateway, before processes of one role each and two workers."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from schemathesis import Case
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi.checks import positive_data_acceptance, unsupported_method

from core.configuration.settings import Settings
from tests.app.conftest import ADMIN_KEY
from tests.app.test_contract import EXAMPLES_PER_OPERATION, PATHS_WITH_DEPENDENT_PARAMETERS, api
from tests.app.test_other_servers import OTHERS, Request, comparable, get_requests, send
from tests.gateway.conftest import SplitSystem
from tests.support.api.serve_process import serve_process
from tests.support.gateway import CERTIFICATE, TLS, needs_nginx
from tests.support.processes import worker_process

pytestmark = [needs_nginx, pytest.mark.slow]


@pytest.fixture(scope="module")
async def gateway_url(settings: Settings, split: SplitSystem) -> AsyncIterator[str]:
    async with worker_process(settings), worker_process(settings):
        yield split.gateway.url


@pytest.fixture(scope="module")
async def direct(settings: Settings, trips: None) -> AsyncIterator[str]:
    """Address of a process of all roles, without a gateway."""
    async with serve_process(settings, ADMIN_KEY=ADMIN_KEY) as process:
        yield process.url


@api.parametrize()
@hypothesis_settings(
    max_examples=EXAMPLES_PER_OPERATION, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)
def test_operation_conforms_to_the_document(case: Case[Any], gateway_url: str) -> None:
    # nginx itself refuses TRACE, and does not know which methods a path has.
    excluded: list[CheckFunction] = [unsupported_method]
    if case.path in PATHS_WITH_DEPENDENT_PARAMETERS:
        excluded.append(positive_data_acceptance)
    case.call_and_validate(base_url=gateway_url, excluded_checks=excluded, verify=str(CERTIFICATE))


@pytest.mark.parametrize("request_", get_requests(), ids=lambda request: request.path)
async def test_response_of_get_endpoint_is_the_direct_one(direct: str, gateway_url: str, request_: Request) -> None:
    await assert_same(direct, gateway_url, request_, 200)


@pytest.mark.parametrize(("request_", "status"), OTHERS)
async def test_response_is_the_direct_one(direct: str, gateway_url: str, request_: Request, status: int) -> None:
    await assert_same(direct, gateway_url, request_, status)


async def assert_same(direct: str, gateway_url: str, request: Request, status: int) -> None:
    expected, passed = await send(direct, request), await send(gateway_url, request, TLS)
    assert expected.status_code == passed.status_code == status
    assert passed.headers.pop("strict-transport-security")
    assert comparable(passed) == comparable(expected)
