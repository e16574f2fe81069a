"""Builder of the OpenAPI document from the endpoints and their models."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import version
from itertools import chain
from typing import Any, Literal

from openapi_pydantic import (
    Components,
    Contact,
    Header,
    Info,
    License,
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
    Server,
    Tag,
)
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app.endpoints.endpoint import Endpoint
from app.endpoints.examples import error_examples, recorded_examples
from app.http.raw_response import JSON
from schemas.api.errors import ErrorResponse

Mode = Literal["validation", "serialization"]
SchemaRefs = Mapping[tuple[Any, Mode], dict[str, Any]]
"""References to the models' schemas, by model and by whether it is validated (a request) or serialised (a response)."""

TOKEN, KEY = "token", "service_key"
SECURITY_SCHEMES = {
    TOKEN: SecurityScheme(type="http", scheme="bearer", bearerFormat="JWT", description="A Supabase token."),
    KEY: SecurityScheme.model_validate(
        {"type": "apiKey", "in": "header", "name": "X-Admin-Key", "description": "The service key of the settings."}
    ),
}
STATUSES_WITH_RETRY_AFTER = (429, 503)
"""Error statuses whose responses have a Retry-After header."""

TAGS = {
    "recommendations": "Search: departures ranked by a traveller's preferences.",
    "tracking": "Sessions, visitors and what they do.",
    "resources": "Countries, guides, trip types, tags and companies, which change rarely.",
    "trips": "Templates and their departures.",
    "system": "State of the service.",
    "analytics": "What is searched for, and how well it is answered.",
    "evaluation": "Scenarios that check the quality of recommendations.",
    "admin": "State and control of the index, for administrators.",
    "description": "This document.",
}
"""Groups of operations, in the order of the document."""

PATH_NOUNS = {
    "companies": "company",
    "countries": "country",
    "guides": "guide",
    "templates": "template",
    "occurrences": "departure",
}
"""What an id in a path belongs to, by the segment before it."""

DESCRIPTION = (
    "Only administrators need a token. Elsewhere a token identifies the user; without a valid one the user is a guest. "
    "Responses under /api have RateLimit headers with the number of requests that are left, and all have X-Request-ID; "
    "except those with `Cache-Control: public`, which caches send to other clients. Error messages are in English or, "
    "if the request's Accept-Language prefers it, in Hebrew; Content-Language says which."
)

PATH_PARAMETER = re.compile(r"{(?P<name>\w+)(?::(?P<kind>\w+))?}")


def build_openapi(all_endpoints: Sequence[Endpoint]) -> bytes:
    """Return the document as JSON."""
    endpoints = [endpoint for endpoint in all_endpoints if endpoint.described]
    references, schemas = _schemas(endpoints)
    paths: dict[str, dict[str, Operation]] = {}
    for endpoint in endpoints:
        operation = _operation(endpoint, references, schemas)
        paths.setdefault(path_template(endpoint.path), {})[endpoint.method.lower()] = operation
    document = OpenAPI(
        openapi="3.1.1",
        info=Info(
            title="SmartTrip API",
            version=version("smarttrip"),
            description=DESCRIPTION,
            contact=Contact(name="SmartTrip"),
            license=License(name="MIT", identifier="MIT"),
        ),
        # Relative to the document: right behind every gateway.
        servers=[Server(url="/", description="The service that this document comes from.")],
        tags=[Tag(name=name, description=text) for name, text in TAGS.items() if name in {e.tag for e in endpoints}],
        paths={path: PathItem.model_validate(operations) for path, operations in paths.items()},
        components=Components.model_validate(
            {
                "schemas": _without_queries(schemas, endpoints),
                "responses": dict(_error_responses(endpoints)),
                "securitySchemes": SECURITY_SCHEMES,
            }
        ),
    )
    return document.model_dump_json(by_alias=True, exclude_none=True, exclude_unset=True).encode()


def _schemas(endpoints: Iterable[Endpoint]) -> tuple[SchemaRefs, dict[str, Any]]:
    models = dict.fromkeys(chain.from_iterable(map(_models, endpoints)))
    template = "#/components/schemas/{model}"
    references, definitions = models_json_schema([*models, (ErrorResponse, "validation")], ref_template=template)
    return references, definitions["$defs"]


def _without_queries(schemas: Mapping[str, Any], endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """Return the schemas but for those of queries, whose fields are parameters of the operations."""
    queries = {endpoint.query.__name__ for endpoint in endpoints if endpoint.query}
    return {name: schema for name, schema in schemas.items() if name not in queries}


def _models(endpoint: Endpoint) -> Iterator[tuple[type[BaseModel], Mode]]:
    if endpoint.query:
        yield endpoint.query, "validation"
    if endpoint.body:
        yield endpoint.body, "validation"
    if endpoint.response:
        yield endpoint.response, "serialization"


def _operation(endpoint: Endpoint, references: SchemaRefs, schemas: Mapping[str, Any]) -> Operation:
    return Operation(
        operationId=operation_id(endpoint),
        summary=endpoint.summary,
        description=endpoint.description or None,
        tags=[endpoint.tag],
        parameters=[
            *_path_parameters(endpoint),
            *_query_parameters(endpoint, references, schemas),
            *(
                _parameter(name, "header", {"type": "string", "description": text}, required=False)
                for name, text in endpoint.headers.items()
            ),
        ]
        or None,
        requestBody=_body(endpoint, references, schemas),
        responses={
            **{
                str(status): _response(endpoint, status, references)
                for status in (endpoint.status, *endpoint.extra_statuses)
            },
            **{str(status): _reference("responses", _phrase(status)) for status in endpoint.error_statuses},
        },
        security=_security(endpoint),
    )


def _security(endpoint: Endpoint) -> list[dict[str, list[str]]]:
    """Return the alternatives of credentials; the empty one stands for none."""
    if endpoint.admin:
        return [{TOKEN: []}, {KEY: []}]
    # Where requests are counted, a token names the user whom they count for.
    return [] if endpoint.rate_limit is None else [{}, {TOKEN: []}]


def operation_id(endpoint: Endpoint) -> str:
    """Return method and path, joined by hyphens: Swagger UI takes an underscore in a link for an escaped space."""
    words = re.findall(r"[^\W_]+", path_template(endpoint.path)) or ["root"]
    return "-".join([endpoint.method.lower(), *words])


def path_template(path: str) -> str:
    return PATH_PARAMETER.sub(r"{\g<name>}", path)


def _path_parameters(endpoint: Endpoint) -> Iterator[Parameter]:
    for match in PATH_PARAMETER.finditer(endpoint.path):
        noun = PATH_NOUNS[endpoint.path[: match.start()].rstrip("/").rpartition("/")[2]]
        schema = {"type": "integer", "minimum": 0, "description": f"Id of the {noun}."}
        # Without it, clients such as the documentation page have nothing to send.
        yield _parameter(match["name"], "path", schema, required=True, example=1)


def _query_parameters(endpoint: Endpoint, references: SchemaRefs, schemas: Mapping[str, Any]) -> Iterator[Parameter]:
    if endpoint.query is None:
        return
    schema = _resolve(references[endpoint.query, "validation"], schemas)
    for name, field in schema.get("properties", {}).items():
        yield _parameter(name, "query", field, required=name in schema.get("required", ()), allowEmptyValue=True)


def _parameter(name: str, location: str, schema: Mapping[str, Any], **more: bool | int) -> Parameter:
    schema_without_text = {key: value for key, value in schema.items() if key not in ("title", "description")}
    text = {"description": schema["description"]} if "description" in schema else {}
    return Parameter.model_validate({"name": name, "in": location, "schema": schema_without_text, **text, **more})


def _body(endpoint: Endpoint, references: SchemaRefs, schemas: Mapping[str, Any]) -> RequestBody | None:
    if endpoint.body is None:
        return None
    reference = references[endpoint.body, "validation"]
    required = "required" in _resolve(reference, schemas)
    return RequestBody(content={JSON: _media_type(reference, _recorded(endpoint, "request"))}, required=required)


def _recorded(endpoint: Endpoint, part: str) -> dict[str, Any]:
    """Return the recorded example of a request or response, by name."""
    recorded = recorded_examples().get(operation_id(endpoint), {})
    return {"recorded": {"summary": endpoint.summary, "value": recorded[part]}} if part in recorded else {}


def _resolve(reference: Mapping[str, str], schemas: Mapping[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = schemas[reference["$ref"].rpartition("/")[2]]
    return schema


def _response(endpoint: Endpoint, status: int, references: SchemaRefs) -> Response:
    reference = references[endpoint.response, "serialization"] if endpoint.response else {}
    examples = _recorded(endpoint, "response") if status == endpoint.status else {}
    content = {endpoint.media_type: _media_type(reference, examples)}
    return Response(description=HTTPStatus(status).phrase, content=content)


def _media_type(schema: Mapping[str, Any], examples: Mapping[str, Any]) -> MediaType:
    return MediaType.model_validate({"schema": schema} | ({"examples": examples} if examples else {}))


def _error_responses(endpoints: Iterable[Endpoint]) -> Iterator[tuple[str, Response]]:
    reference = {"$ref": f"#/components/schemas/{ErrorResponse.__name__}"}
    for status in sorted(set(chain.from_iterable(endpoint.error_statuses for endpoint in endpoints))):
        examples = error_examples(status)
        retry_after = {"Retry-After": Header(description="Seconds.", param_schema=Schema(type="integer"))}
        yield (
            _phrase(status),
            Response(
                description=f"{HTTPStatus(status).phrase}: {', '.join(f'`{code}`' for code in examples)}.",
                content={JSON: _media_type(reference, examples)},
                headers=retry_after if status in STATUSES_WITH_RETRY_AFTER else None,
            ),
        )


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase.title().replace(" ", "").replace("-", "")


def _reference(kind: str, name: str) -> Reference:
    return Reference.model_validate({"$ref": f"#/components/{kind}/{name}"})
