"""Everything in the OpenAPI document is described."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from app.endpoints.openapi import build_openapi
from app.routes import ENDPOINTS

DOCUMENT: dict[str, Any] = orjson.loads(build_openapi(ENDPOINTS))
UNITS = {
    "_ms": "millisecond",
    "seconds": "second",
    "_rate": "from 0 to 1",
    "days": "day",
    "duration": "day",
    "price": "currency",
    "budget": "currency",
    "score": "point",
    "age": "year",
}
"""What a description has to name, by the end of the property's name."""


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield f"{method} {path}", operation


def properties_within(schema: object) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the properties of a schema and of all schemas in it, such as those of `then` or `items`."""
    if isinstance(schema, dict):
        named = schema.get("properties", {})
        yield from named.items()
        for part in (*named.values(), *(value for key, value in schema.items() if key != "properties")):
            yield from properties_within(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from properties_within(part)


def properties() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for model, schema in DOCUMENT["components"]["schemas"].items():
        for name, prop in properties_within(schema):
            yield model, name, prop
    for operation, described in operations():
        for parameter in described.get("parameters", ()):
            yield operation, parameter["name"], parameter


def test_there_is_something_to_describe() -> None:
    assert len(list(operations())) > 30
    assert len(list(properties())) > 300


@pytest.mark.parametrize("operation", [pytest.param(operation, id=name) for name, operation in operations()])
def test_operation_has_summary_description_and_security(operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["description"].endswith(".")
    assert "security" in operation
    for status, response in operation["responses"].items():
        assert response.get("description") or "$ref" in response, status


def test_every_property_and_parameter_is_described_in_a_sentence() -> None:
    missing = [(model, name) for model, name, prop in properties() if not prop.get("description", "").endswith(".")]
    assert missing == []


def test_numbers_have_their_unit() -> None:
    measured = [
        (model, name, prop) for model, name, prop in properties() if is_number(prop) and "searches_with" not in name
    ]
    without = [
        (model, name)
        for model, name, prop in measured
        for ending, unit in UNITS.items()
        if name.lower().endswith(ending) and unit not in prop["description"].lower()
    ]
    assert without == []


def is_number(prop: dict[str, Any]) -> bool:
    schema = prop.get("schema", prop)
    kinds = {schema.get("type"), *(option.get("type") for option in schema.get("anyOf", ()))}
    return bool(kinds & {"integer", "number"}) or "pattern" in schema


def test_files_of_the_page_are_no_operations() -> None:
    assert not any(path.startswith("/docs") for path in DOCUMENT["paths"])
    assert DOCUMENT["servers"] == [{"url": "/", "description": DOCUMENT["servers"][0]["description"]}]
