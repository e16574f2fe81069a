"""Errors of settings in our own sentences; the validator's texts are made for programmers."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

_EXAMPLES = {
    "array": "networks such as 10.0.0.0/8, separated by commas",
    "boolean": "true or false",
    "date": "a date such as 2026-11-29",
}
"""Valid values by JSON type or format."""


def describe_setting_error(error: ValidationError, properties: Mapping[str, Any]) -> str:
    """Return one sentence about the first invalid variable. `properties` are the settings' JSON schemas, by name."""
    problem = error.errors(include_input=False, include_url=False)[0]
    name = str(problem["loc"][0])
    variable = name.upper()
    if problem["type"] == "missing":
        return f"{variable} is not set; see docs/reference/settings.md."
    if problem["type"] == "value_error":
        return f"{variable} is wrong: {problem['ctx']['error']}."
    return f"{variable} is wrong: should be {_describe_values(properties[name])}."


def _describe_values(schema: Mapping[str, Any]) -> str:
    """Return which values are valid, in words."""
    if "anyOf" in schema:
        return _describe_values(next(option for option in schema["anyOf"] if option["type"] != "null"))
    if "enum" in schema:
        return f"{', '.join(schema['enum'][:-1])} or {schema['enum'][-1]}"
    if "enum" in schema.get("items", {}):
        return f"one or more of {', '.join(schema['items']['enum'])}, separated by commas"
    kind = schema.get("format", schema["type"])
    if kind in ("integer", "number"):
        return f"a {'whole ' if kind == 'integer' else ''}number {_describe_range(schema)}"
    return _EXAMPLES[kind]


def _describe_range(schema: Mapping[str, Any]) -> str:
    high = schema.get("maximum")
    if "exclusiveMinimum" in schema:
        return f"above {schema['exclusiveMinimum']:g}" + ("" if high is None else f" and up to {high:g}")
    low = schema["minimum"]
    return f"of {low} or more" if high is None else f"from {low} to {high}"
