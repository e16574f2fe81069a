"""Schemathesis asks every operation of the OpenAPI document what it promises, with good input and with bad."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pydantic import SecretStr
from schemathesis import Case
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi.checks import positive_data_acceptance
from sqlalchemy.ext.asyncio import AsyncEngine

from app.openapi import document
from app.routes import ENDPOINTS
from indexer.reindex import reindex
from schemas.enums import Continent
from schemas.settings import Settings
from tests.app.uvicorn_server import uvicorn_serving
from tests.catalogue import Catalogue

ADMIN_KEY = "the-service-key-of-this-test"
EXAMPLES_PER_OPERATION = 30
RULES_BETWEEN_PARAMETERS = {"/api/metrics/daily"}
"""Here parameters that are good by themselves may not go together, which OpenAPI can't say."""

api = schemathesis.openapi.from_dict(orjson.loads(document(ENDPOINTS)))


@pytest.fixture(scope="module")
async def address(settings: Settings, engine: AsyncEngine) -> AsyncIterator[str]:
    await fill(Catalogue(engine))
    await reindex(settings, lambda progress: None)
    with uvicorn_serving(settings.model_copy(update={"admin_key": SecretStr(ADMIN_KEY)})) as address:
        yield address


async def fill(catalogue: Catalogue) -> None:
    """So that the small ids that are tried find something."""
    country = await catalogue.country(continent=Continent.ASIA)
    guide, trip_type, tag = await catalogue.guide(), await catalogue.trip_type(), await catalogue.tag()
    template = await catalogue.template(
        trip_type_id=trip_type, primary_country_id=country, countries=[country], tags=[tag]
    )
    for days in range(3):
        await catalogue.occurrence(trip_template_id=template, guide_id=guide, price_override=Decimal(days))


@api.parametrize()
@hypothesis_settings(
    max_examples=EXAMPLES_PER_OPERATION, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)
def test_every_operation_keeps_what_the_document_says(case: Case[Any], address: str) -> None:
    excluded: list[CheckFunction] = [positive_data_acceptance] if case.path in RULES_BETWEEN_PARAMETERS else []
    case.call_and_validate(base_url=address, headers={"X-Admin-Key": ADMIN_KEY}, excluded_checks=excluded)
