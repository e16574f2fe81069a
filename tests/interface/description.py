"""A description of the public interface, derived from the code, as JSON."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import orjson
import typer.main
from typer.core import TyperGroup

from app.endpoints.openapi import build_openapi
from app.routes import ENDPOINTS
from core.configuration.settings import Settings
from schemas.api.errors import ErrorCode
from schemas.tables import Base
from scripts.cli import app as cli

ROOT = Path(__file__).parents[2]
PACKAGES = ("app", "core", "indexer", "migrations", "schemas", "scoring", "scripts", "tracking")
METRIC_PREFIX = "smarttrip_"
KEY_PREFIX = "smarttrip:"
LOG_LEVELS = ("debug", "info", "warning", "error", "exception")


def describe_interface() -> dict[str, Any]:
    """Return what must not change by accident, by section; every value is plain JSON and sorted."""
    trees = list(_parse_packages())
    return {
        "operations": describe_operations(),
        "metrics": dict(sorted(_find_metrics(trees))),
        "log events": describe_log_events(),
        "redis keys": sorted(set(_find_redis_keys(trees))),
        "error codes": sorted(get_args(ErrorCode)),
        "columns": {table.fullname: sorted(table.columns.keys()) for table in Base.metadata.sorted_tables},
        "settings": {name.upper(): _describe_default(name) for name in sorted(Settings.model_fields)},
        "commands": dict(sorted(_describe_commands(typer.main.get_command(cli)))),
    }


def describe_log_events() -> list[str]:
    """Return level and name of each event."""
    return sorted(set(_find_log_events(list(_parse_packages()))))


def describe_operations() -> dict[str, list[str]]:
    """Return a line for each parameter, header, status and property of each operation; prose is left out."""
    document = orjson.loads(build_openapi(ENDPOINTS))
    return {
        f"{method.upper()} {path}": sorted(set(_describe_operation(operation, document)))
        for path, item in sorted(document["paths"].items())
        for method, operation in sorted(item.items())
    }


def _describe_operation(operation: dict[str, Any], document: dict[str, Any]) -> Iterator[str]:
    for parameter in operation.get("parameters", ()):
        yield from _describe_schema(f"{parameter['in']} {parameter['name']}", parameter["schema"], document)
    yield from _describe_content("body", operation.get("requestBody", {}), document)
    for status, response in operation["responses"].items():
        yield status
        if "$ref" not in response:
            yield from _describe_content(status, response, document)


def _describe_content(name: str, holder: dict[str, Any], document: dict[str, Any]) -> Iterator[str]:
    for media_type, content in holder.get("content", {}).items():
        yield from _describe_schema(f"{name} {media_type} ", content.get("schema", {}), document)


def _describe_schema(name: str, schema: dict[str, Any], document: dict[str, Any]) -> Iterator[str]:
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from _describe_schema(name, part, document)
    if "items" in schema:
        yield from _describe_schema(f"{name}[]", schema["items"], document)
    required = schema.get("required", ())
    for property_name, property_schema in schema.get("properties", {}).items():
        mark = "" if property_name in required else "?"
        yield from _describe_schema(f"{name}.{property_name}{mark}", property_schema, document)
    rules = {key: schema[key] for key in CONSTRAINTS if key in schema}
    if rules:
        yield f"{name} {json.dumps(rules, ensure_ascii=False)}"


CONSTRAINTS = ("type", "enum", "const", "format", "pattern", "minimum", "maximum", "minLength", "maxLength", "maxItems")


def _parse_packages() -> Iterator[ast.Module]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield ast.parse(path.read_text(encoding="utf-8"))


def _find_calls(trees: list[ast.Module]) -> Iterator[ast.Call]:
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.args:
                yield node


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _find_metrics(trees: list[ast.Module]) -> Iterator[tuple[str, list[str]]]:
    """Yield the names of metrics with the names of their labels."""
    for call in _find_calls(trees):
        name = _text(call.args[0])
        if name.startswith(METRIC_PREFIX) and len(call.args) > 1:
            labels = call.args[2] if len(call.args) > 2 else None
            yield name, [_text(label) for label in labels.elts] if isinstance(labels, ast.List | ast.Tuple) else []


def _find_log_events(trees: list[ast.Module]) -> Iterator[str]:
    for call in _find_calls(trees):
        function = call.func
        if isinstance(function, ast.Attribute) and function.attr in LOG_LEVELS and _text(call.args[0]):
            yield f"{function.attr} {_text(call.args[0])}"


def _find_redis_keys(trees: list[ast.Module]) -> Iterator[str]:
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(KEY_PREFIX):
                yield node.value


def _describe_default(name: str) -> str:
    field = Settings.model_fields[name]
    return "required" if field.is_required() else str(field.get_default(call_default_factory=True))


def _describe_commands(command: Any, path: str = "smarttrip") -> Iterator[tuple[str, list[str]]]:
    yield path, sorted("/".join(parameter.opts) for parameter in command.params)
    if isinstance(command, TyperGroup):
        for name, child in command.commands.items():
            yield from _describe_commands(child, f"{path} {name}")
