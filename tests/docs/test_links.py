"""Links between documents lead somewhere, and the tests that documents name exist."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.docs.documents import ROOT

DOCUMENTS = sorted(path.relative_to(ROOT) for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")))
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+)(?:::(\w+))?)?`")
PATH = re.compile(r"`((?:app|indexer|scoring|schemas|migrations|scripts|tests|docs)/[\w./-]*)`")


@cache
def text(document: Path) -> str:
    return (ROOT / document).read_text()


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_lead_somewhere(document: Path) -> None:
    for link in LINK.findall(text(document)):
        address, _, anchor = link.partition("#")
        if ":" in address:
            continue
        target = (ROOT / document.parent / address).resolve() if address else ROOT / document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@cache
def defined_in(file: str) -> set[str]:
    def names(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield prefix + node.name
            elif isinstance(node, ast.ClassDef):
                yield from names(node.body, f"{node.name}::")

    return set(names(ast.parse((ROOT / file).read_text()).body))


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_the_tests_that_it_names_exist(document: Path) -> None:
    for file, first, second in TEST.findall(text(document)):
        assert (ROOT / file).exists(), file
        name = "::".join(filter(None, (first, second)))
        assert not name or name in defined_in(file), f"{file}::{name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_the_files_that_it_names_exist(document: Path) -> None:
    for path in PATH.findall(text(document)):
        assert (ROOT / path).exists(), path
