"""docs/operations.md names every metric and every error code, and nothing that isn't there."""

import importlib
import pkgutil
import re
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client import REGISTRY

import app
import indexer
from app.endpoints.openapi import PATH_PARAMETER
from app.routes import ENDPOINTS
from core.settings import Settings
from schemas.api.errors import ErrorCode
from tests.docs.documents import ROOT, table
from tests.docs.test_links import DOCUMENTS, text

OPERATIONS = "docs/operations.md"
TYPED = {"counter": "_total", "gauge": "", "histogram": "", "summary": ""}
"""What a metric's name ends in beside the name that it was given."""


def metrics() -> dict[str, str]:
    """Type by name, of all that the code defines."""
    for package in (app, indexer):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    found = [family for family in REGISTRY.collect() if family.name.startswith("smarttrip_")]
    return {family.name + TYPED[family.type]: family.type for family in found}


def documented_metrics() -> dict[str, str]:
    rows = [*table(OPERATIONS, "Of the API:"), *table(OPERATIONS, "Of the worker:")]
    return {name.strip("`"): kind for name, kind, _ in rows}


def test_every_metric_is_in_the_tables_with_its_type_and_nothing_else() -> None:
    assert documented_metrics() == metrics()


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_metrics_that_documents_name_exist(document: Path) -> None:
    named = set(re.findall(r"smarttrip_(?!test|cli)[a-z_]{4,}", text(document)))
    assert named <= metrics().keys()


def test_every_error_code_is_in_the_table_and_nothing_else() -> None:
    codes = [code for row in table(OPERATIONS, "## What clients are told") for code in re.findall(r"`(\w+)`", row[0])]
    assert sorted(codes) == sorted(get_args(ErrorCode))


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_endpoints_that_documents_name_exist(document: Path) -> None:
    known = {PATH_PARAMETER.sub(r"{\g<name>}", endpoint.path) for endpoint in ENDPOINTS}
    named = re.findall(r"`(?:(?:GET|POST) )?(/(?:api|livez|readyz|metrics|docs|openapi)[\w/.{}-]*)`", text(document))
    assert set(named) <= known


def test_settings_that_it_names_exist() -> None:
    named = set(re.findall(r"`([A-Z]+_[A-Z_]+)`", (ROOT / OPERATIONS).read_text()))
    assert {name.lower() for name in named} <= Settings.model_fields.keys() | {"workers"}
