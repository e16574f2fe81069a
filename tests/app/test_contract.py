"""Schemathesis checks every operation of the OpenAPI document with valid and with invalid input."""

from typing import Any

import orjson
import schemathesis
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from schemathesis import Case
from schemathesis.checks import CheckFunction
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import positive_data_acceptance

from app.endpoints.openapi import KEY, build_openapi
from app.routes import ENDPOINTS
from tests.app.conftest import ADMIN_KEY

EXAMPLES_PER_OPERATION = 20
PATHS_WITH_DEPENDENT_PARAMETERS = {"/api/metrics/daily"}
"""Paths whose parameters can be valid one by one but not together, which OpenAPI cannot express."""

api = schemathesis.openapi.from_dict(
    orjson.loads(build_openapi(ENDPOINTS)),
    config=SchemathesisConfig.from_dict({"auth": {"openapi": {KEY: {"api_key": ADMIN_KEY}}}}),
)


@api.parametrize()
@hypothesis_settings(
    max_examples=EXAMPLES_PER_OPERATION, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)
def test_operation_conforms_to_the_document(case: Case[Any], address: str) -> None:
    excluded: list[CheckFunction] = [positive_data_acceptance] if case.path in PATHS_WITH_DEPENDENT_PARAMETERS else []
    case.call_and_validate(base_url=address, excluded_checks=excluded)
