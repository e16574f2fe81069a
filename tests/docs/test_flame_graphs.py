"""The flame graphs of the performance page: one of each profiled kind of request, small and free of local paths."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from scripts.benchmark.measurements.cpu_profile import PROFILED
from scripts.benchmark.measurements.profile_parts import FILES
from tests.docs.documents import ROOT, text

PERFORMANCE = Path("docs/explanation/performance.md")
FLAMES = ROOT / "docs/explanation/flames"
GRAPHS = [FLAMES / f"{requests.file}.svg" for requests in PROFILED]
MAX_BYTES = 50_000
SVG = "{http://www.w3.org/2000/svg}"
TITLE = re.compile(r"\S[^/]* \((?:[\w.<>-]+/)*[\w .<>-]+:\d+\): \d+\.\d%")
"""A function, its file below the place where Python finds it, its line, and its share of the samples."""


def test_page_shows_a_graph_of_each_profiled_request() -> None:
    shown = re.findall(r"!\[[^\]]+\]\(flames/([\w.-]+)\)", text(PERFORMANCE))
    assert sorted(shown) == sorted(path.name for path in GRAPHS) == sorted(path.name for path in FLAMES.iterdir())


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda path: path.stem)
def test_graph_is_small_and_names_functions_by_relative_files(graph: Path) -> None:
    assert graph.stat().st_size < MAX_BYTES
    titles = [title.text or "" for title in ElementTree.parse(graph).iter(f"{SVG}title")]
    assert titles
    assert [title for title in titles if not TITLE.fullmatch(title)] == []


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda path: path.stem)
def test_graph_consists_of_drawn_elements_only(graph: Path) -> None:
    tags = {element.tag.removeprefix(SVG) for element in ElementTree.parse(graph).iter()}
    assert tags == {"svg", "g", "title", "rect", "text"}


def test_table_has_a_row_for_parts_that_exist() -> None:
    section = text(PERFORMANCE).partition("## Where the time goes")[2].partition("\n## ")[0]
    table = section.partition("| part, %")[2].partition("\n\n")[0]
    parts = re.findall(r"^\| ([a-zA-Z][^|]*) \|", table, re.MULTILINE)
    assert set(parts) - {"CPU µs of a request"} <= set(FILES.values())
    assert len(parts) > 10
