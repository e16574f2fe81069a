"""Every regular expression of the packages takes linear time, whatever text it is applied to."""

import ast
import re
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from itertools import product
from pathlib import Path
from time import thread_time
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("app", "core", "indexer", "schemas", "scoring", "tracking")
APPLIED = {"match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"}
LENGTHS = (24, 200, 2000, 60_000)
"""Growing, so that an exponential expression fails before it hangs."""
SECONDS = 0.2
"""More than a linear expression takes for the longest text, and less than a quadratic one."""
SAMPLES = "a9@.-_ e/\\\"',:;=(<\n\u00e9"


class Expression(NamedTuple):
    place: str
    pattern: str
    flags: int
    methods: frozenset[str]


def expressions() -> Iterator[Expression]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            tree = ast.parse(path.read_text())
            for call in ast.walk(tree):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and _is_re(call.func.value):
                    # Expressions that are put together from local values, such as the alias, are none of a client's.
                    with suppress(NameError):
                        yield from _expression(path, tree, call, call.func.attr)


def _is_re(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "re"


def _expression(path: Path, tree: ast.Module, call: ast.Call, function: str) -> Iterator[Expression]:
    if function not in {"compile", *APPLIED}:
        return
    module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    value = eval(compile(ast.Expression(call), str(path), "eval"), vars(module)) if function == "compile" else None
    pattern = value.pattern if value else eval(compile(ast.Expression(call.args[0]), str(path), "eval"), vars(module))
    text = pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern
    methods = {function} if function in APPLIED else _methods(tree, call)
    flags = value.flags & ~re.UNICODE if value else 0
    yield Expression(f"{path.relative_to(ROOT)}:{call.lineno}", text, flags, frozenset(methods or {"search"}))


def _methods(tree: ast.Module, call: ast.Call) -> set[str]:
    """Return the methods of the compiled expression that its module calls."""
    names = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and node.value is call
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names
    } & APPLIED


EXPRESSIONS = list(expressions())


def longest(expression: Expression, piece: str) -> float:
    compiled = re.compile(expression.pattern, expression.flags)
    worst = 0.0
    for length, method in product(LENGTHS, expression.methods):
        text = piece * (length // len(piece)) + "\0!"
        began = thread_time()
        if method in ("sub", "subn"):
            compiled.sub("", text)
        elif method == "finditer":
            compiled.findall(text)
        else:
            getattr(compiled, method)(text)
        worst = max(worst, thread_time() - began)
        if worst >= SECONDS:
            break
    return worst


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=lambda expression: expression.place)
def test_expression_takes_linear_time(expression: Expression) -> None:
    words = re.findall(r"\w{2,}", expression.pattern)
    samples = sorted({*SAMPLES, *(character for character in expression.pattern if character.isprintable()), *words})
    for piece in {*samples, *(first + second for first, second in product(SAMPLES, samples))}:
        assert longest(expression, piece) < SECONDS, (piece, expression)


def test_quadratic_expression_is_found() -> None:
    """Otherwise the other test would test nothing."""
    assert longest(Expression("", r"[^ ]+@[^ ]+", 0, frozenset({"search"})), "a") >= SECONDS
    assert longest(Expression("", r"(a+)+$", 0, frozenset({"match"})), "a") >= SECONDS
