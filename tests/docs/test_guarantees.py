"""Every guarantee names a test that exists."""

import ast
import re

import pytest

from tests.docs.documents import ROOT, text

NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
PROMISES = NAMED.findall(text("docs/explanation/guarantees.md"))


def test_there_are_promises() -> None:
    assert len(PROMISES) > 20


@pytest.mark.parametrize(("file", "name"), PROMISES)
def test_promised_test_exists(file: str, name: str) -> None:
    functions = ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
    assert name in {node.name for node in functions if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
