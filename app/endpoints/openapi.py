"""The OpenAPI document, made from the endpoints and the models that they name; nothing is described a second time."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import version
from itertools import chain
from typing import Any, Literal

from openapi_pydantic import (
    Components,
    Header,
    Info,
    MediaType,
    OpenAPI,
    Operation,
    Parameter,
    PathItem,
    Reference,
    RequestBody,
    Response,
    Schema,
    SecurityScheme,
)
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app.endpoints.endpoint import Endpoint
from app.http.raw_response import JSON
from schemas.api.errors import ErrorResponse

Mode = Literal["validation", "serialization"]
SchemaRefs = Mapping[tuple[Any, Mode], dict[str, Any]]
"""Where each model's schema is in the document: as it is read, or as it is written."""

TOKEN, KEY = "token", "service_key"
SECURITY_SCHEMES = {
    TOKEN: SecurityScheme(type="http", scheme="bearer", bearerFormat="JWT", description="A Supabase token."),
    KEY: SecurityScheme.model_validate(
        {"type": "apiKey", "in": "header", "name": "X-Admin-Key", "description": "The service key of the settings."}
    ),
}
RETRIED = (429, 503)
"""Refusals that say when to try again."""

ABOUT = (
    "A token is needed only by administrators; elsewhere it tells who the user is, and a missing or bad one makes a "
    "guest. Every answer under /api says in its RateLimit headers how many requests are left."
)

PATH_PARAMETER = re.compile(r"{(?P<name>\w+)(?::(?P<kind>\w+))?}")


def build_openapi(endpoints: Sequence[Endpoint]) -> bytes:
    shapes, schemas = _schemas(endpoints)
    paths: dict[str, dict[str, Operation]] = {}
    for endpoint in endpoints:
        operation = _operation(endpoint, shapes, schemas)
        paths.setdefault(_template(endpoint.path), {})[endpoint.method.lower()] = operation
    described = OpenAPI(
        openapi="3.1.1",
        info=Info(title="SmartTrip API", version=version("smarttrip"), description=ABOUT),
        paths={path: PathItem.model_validate(operations) for path, operations in paths.items()},
        components=Components.model_validate(
            {
                "schemas": schemas,
                "responses": dict(_refusals(endpoints)),
                "securitySchemes": SECURITY_SCHEMES,
            }
        ),
    )
    return described.model_dump_json(by_alias=True, exclude_none=True, exclude_unset=True).encode()


def _schemas(endpoints: Iterable[Endpoint]) -> tuple[SchemaRefs, dict[str, Any]]:
    models = dict.fromkeys(chain.from_iterable(map(_models, endpoints)))
    template = "#/components/schemas/{model}"
    shapes, definitions = models_json_schema([*models, (ErrorResponse, "validation")], ref_template=template)
    return shapes, definitions["$defs"]


def _models(endpoint: Endpoint) -> Iterator[tuple[type[BaseModel], Mode]]:
    if endpoint.query:
        yield endpoint.query, "validation"
    if endpoint.body:
        yield endpoint.body, "validation"
    if endpoint.answer:
        yield endpoint.answer, "serialization"


def _operation(endpoint: Endpoint, shapes: SchemaRefs, schemas: Mapping[str, Any]) -> Operation:
    return Operation(
        operationId=_name(endpoint),
        summary=endpoint.summary,
        description=endpoint.description or None,
        tags=[endpoint.tag],
        parameters=[
            *_path_parameters(endpoint),
            *_query_parameters(endpoint, shapes, schemas),
            *(_parameter(name, "header", {"type": "string"}, required=False) for name in endpoint.headers),
        ]
        or None,
        requestBody=_body(endpoint, shapes, schemas),
        responses={
            **{
                str(status): _answer(endpoint, status, shapes) for status in (endpoint.status, *endpoint.extra_statuses)
            },
            **{str(status): _reference("responses", _phrase(status)) for status in error_statuses(endpoint)},
        },
        security=[{TOKEN: []}, {KEY: []}] if endpoint.admin else None,
    )


def _name(endpoint: Endpoint) -> str:
    words = re.findall(r"\w+", _template(endpoint.path))
    return "_".join([endpoint.method.lower(), *words])


def _template(path: str) -> str:
    return PATH_PARAMETER.sub(r"{\g<name>}", path)


def _path_parameters(endpoint: Endpoint) -> Iterator[Parameter]:
    for found in PATH_PARAMETER.finditer(endpoint.path):
        schema = {"type": "integer", "minimum": 0} if found["kind"] == "int" else {"type": "string"}
        yield _parameter(found["name"], "path", schema, required=True)


def _query_parameters(endpoint: Endpoint, shapes: SchemaRefs, schemas: Mapping[str, Any]) -> Iterator[Parameter]:
    if endpoint.query is None:
        return
    schema = _resolve(shapes[endpoint.query, "validation"], schemas)
    for name, shape in schema.get("properties", {}).items():
        yield _parameter(name, "query", shape, required=name in schema.get("required", ()), allowEmptyValue=True)


def _parameter(name: str, location: str, schema: Mapping[str, Any], **more: bool) -> Parameter:
    shown = {key: value for key, value in schema.items() if key not in ("title", "description")}
    about = {"description": schema["description"]} if "description" in schema else {}
    return Parameter.model_validate({"name": name, "in": location, "schema": shown, **about, **more})


def _body(endpoint: Endpoint, shapes: SchemaRefs, schemas: Mapping[str, Any]) -> RequestBody | None:
    if endpoint.body is None:
        return None
    shape = shapes[endpoint.body, "validation"]
    return RequestBody(content={JSON: _media_type(shape)}, required="required" in _resolve(shape, schemas))


def _resolve(shape: Mapping[str, str], schemas: Mapping[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = schemas[shape["$ref"].rpartition("/")[2]]
    return schema


def _answer(endpoint: Endpoint, status: int, shapes: SchemaRefs) -> Response:
    shape = shapes[endpoint.answer, "serialization"] if endpoint.answer else {}
    return Response(description=HTTPStatus(status).phrase, content={endpoint.media_type: _media_type(shape)})


def _media_type(schema: Mapping[str, Any]) -> MediaType:
    return MediaType.model_validate({"schema": schema})


def error_statuses(endpoint: Endpoint) -> list[int]:
    """Statuses other than success: those that the endpoint names, and those that follow from what it is."""
    implied = {
        400: endpoint.query or endpoint.body,
        401: endpoint.admin,
        403: endpoint.admin,
        404: PATH_PARAMETER.search(endpoint.path),
        408: endpoint.body,
        413: endpoint.body,
        415: endpoint.body,
        429: endpoint.rate_limit is not None,
        503: endpoint.shed,
    }
    all_of_them = {*endpoint.errors, *(status for status, applies in implied.items() if applies)}
    return sorted(all_of_them.difference(endpoint.extra_statuses))


def _refusals(endpoints: Iterable[Endpoint]) -> Iterator[tuple[str, Response]]:
    for status in sorted(set(chain.from_iterable(map(error_statuses, endpoints)))):
        seconds = {"Retry-After": Header(description="Seconds.", param_schema=Schema(type="integer"))}
        yield (
            _phrase(status),
            Response(
                description=HTTPStatus(status).phrase,
                content={JSON: _media_type({"$ref": f"#/components/schemas/{ErrorResponse.__name__}"})},
                headers=seconds if status in RETRIED else None,
            ),
        )


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase.title().replace(" ", "").replace("-", "")


def _reference(kind: str, name: str) -> Reference:
    return Reference.model_validate({"$ref": f"#/components/{kind}/{name}"})
