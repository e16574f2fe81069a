"""Links between documents resolve, and the files and tests that documents name exist."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.docs.documents import DOCUMENTS, ROOT, text

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+)(?:::(\w+))?)?`")
PATH = re.compile(
    r"`((?:app|core|deploy|docs|indexer|migrations|schemas|scoring|scripts|tests|tracking)/[\w./-]*)`",
)


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_resolve(document: Path) -> None:
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

    return set(names(ast.parse((ROOT / file).read_text(encoding="utf-8")).body))


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_named_tests_exist(document: Path) -> None:
    for file, first, second in TEST.findall(text(document)):
        assert (ROOT / file).exists(), file
        name = "::".join(filter(None, (first, second)))
        assert not name or name in defined_in(file), f"{file}::{name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_named_files_exist(document: Path) -> None:
    for path in PATH.findall(text(document)):
        assert (ROOT / path).exists(), path


def test_every_document_is_reachable_from_the_index() -> None:
    indexed = {
        (ROOT / index.parent / link.partition("#")[0]).resolve()
        for index in DOCUMENTS
        if index.name == "README.md"
        for link in LINK.findall(text(index))
        if ":" not in link
    }
    pages = {ROOT / document for document in DOCUMENTS if document.parts[0] == "docs"}
    assert pages <= indexed
