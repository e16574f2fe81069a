"""The request headers that matter to the service: those that it allows, documents, or reads somewhere in its code."""

import ast
from collections.abc import Iterator
from pathlib import Path

import app
from app.http.cors import HEADERS
from app.routes import ENDPOINTS

MAPPINGS = ("headers", "fields")
"""Names of variables and attributes that hold the headers of a request."""
NOT_READ = ("cookie", "x-unknown")
"""Examples of headers that nothing reads."""
FRAMING = {"host", "content-length", "transfer-encoding"}
"""Headers that frame a request: tests of the parser have them."""


def request_headers() -> list[str]:
    """Return their names in lower case, without those that frame a request."""
    documented = {name for endpoint in ENDPOINTS for name in endpoint.headers}
    sources = Path(app.__file__).parent.rglob("*.py")
    read = {name for source in sources for name in _names_read(ast.parse(source.read_text()))}
    return sorted({name.lower() for name in (*HEADERS, *documented, *read, *NOT_READ)} - FRAMING)


def _names_read(tree: ast.Module) -> Iterator[str]:
    """Yield the literals by which headers are looked up."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=mapping, attr="get" | "getlist"), args=[ast.Constant() as key, *_]):
                yield from _name(mapping, key)
            case ast.Subscript(value=mapping, slice=ast.Constant() as key):
                yield from _name(mapping, key)
            case ast.Compare(left=ast.Constant() as key, ops=[ast.In() | ast.NotIn()], comparators=[mapping]):
                yield from _name(mapping, key)


def _name(mapping: ast.expr, key: ast.Constant) -> Iterator[str]:
    name = mapping.attr if isinstance(mapping, ast.Attribute) else mapping.id if isinstance(mapping, ast.Name) else ""
    if name in MAPPINGS and isinstance(key.value, str | bytes):
        yield key.value if isinstance(key.value, str) else key.value.decode()
