import re
from typing import Any

import httpx2
import orjson
import pytest
from openapi_pydantic import OpenAPI
from starlette.routing import Route

from app.endpoints.endpoint import Endpoint
from app.endpoints.openapi import build_openapi
from app.main import create_app
from app.routes import ENDPOINTS
from core.configuration.settings import Settings


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    content: dict[str, Any] = orjson.loads(build_openapi(ENDPOINTS))
    return content


def operations(described: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    }


def test_document_has_the_routes(settings: Settings, described: dict[str, Any]) -> None:
    routed = {
        (method, route.path_format)
        for route in create_app(settings).routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    }
    page = {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS if not endpoint.described}
    assert routed == set(operations(described)) | page


async def test_document_is_served(api: httpx2.AsyncClient, described: dict[str, Any]) -> None:
    answer = await api.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == described
    again = await api.get("/openapi.json", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_document_is_openapi_3_1(described: dict[str, Any]) -> None:
    assert described["openapi"].startswith("3.1.")
    OpenAPI.model_validate(described)


def test_references_resolve(described: dict[str, Any]) -> None:
    references = set(re.findall(r'"\$ref":"#/([^"]+)"', orjson.dumps(described).decode()))
    assert references
    for reference in references:
        place: Any = described
        for part in reference.split("/"):
            place = place[part]


def test_operation_ids_are_unique(described: dict[str, Any]) -> None:
    names = [operation["operationId"] for operation in operations(described).values()]
    assert len(set(names)) == len(names)
    # Swagger UI would complain about links with others.
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in names)
    assert all(operation["summary"] and operation["tags"] for operation in operations(described).values())


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_operation_is_described_in_sentences(endpoint: Endpoint) -> None:
    assert re.fullmatch(r"[A-Z][a-z]+ [^.]+", endpoint.summary)
    assert re.fullmatch(r"[A-Z][a-z]+ .+\.", endpoint.description)


HEALTH = ("GET", "/api/health")
"""Returns the same model with 200 and with 503."""


def test_every_error_has_the_error_schema(described: dict[str, Any]) -> None:
    for key, operation in operations(described).items():
        for status, answer in operation["responses"].items():
            if int(status) >= 400 and key != HEALTH:
                response = described["components"]["responses"][answer["$ref"].rpartition("/")[2]]
                schema = response["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/ErrorResponse"}


def test_path_parameters_are_declared(described: dict[str, Any]) -> None:
    for (_, path), operation in operations(described).items():
        named = {found["name"] for found in operation.get("parameters", ()) if found["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))


def test_unhealthy_response_has_the_health_schema(described: dict[str, Any]) -> None:
    responses = operations(described)[HEALTH]["responses"]
    assert set(responses) == {"200", "400", "500", "503"}
    ok, unhealthy = (responses[status]["content"]["application/json"] for status in ("200", "503"))
    assert ok["schema"] == unhealthy["schema"]


def test_only_admin_operations_need_credentials(described: dict[str, Any]) -> None:
    asking = {key for key, op in operations(described).items() if op["security"] and {} not in op["security"]}
    assert asking == {key for key in operations(described) if key[1].startswith("/api/admin/")}
    for key in asking:
        assert {"401", "403"} <= set(operations(described)[key]["responses"])


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("GET", "/api/countries", {"429", "503"}),
        ("GET", "/api/countries/{id}", {"404", "429", "503"}),
        ("POST", "/api/v2/recommendations", {"401", "403", "404", "408", "413", "415", "429", "503"}),
        ("GET", "/livez", set()),
    ],
)
def test_operation_lists_its_statuses(described: dict[str, Any], method: str, path: str, statuses: set[str]) -> None:
    assert set(operations(described)[method, path]["responses"]) == {"200", "400", "500"} | statuses


def test_response_fields_have_public_names(described: dict[str, Any]) -> None:
    occurrence = described["components"]["schemas"]["Departure"]
    assert {"effectivePrice", "durationDays", "spotsLeft", "template"} <= set(occurrence["required"])
