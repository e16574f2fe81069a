"""Read the project's documents and their tables."""

import re
from collections.abc import Iterator
from functools import cache
from itertools import dropwhile, takewhile
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(path.relative_to(ROOT) for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")))
QUOTED = re.compile(r"`([^`]+)`")


@cache
def text(document: str | Path) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def table(document: str, heading: str) -> Iterator[list[str]]:
    """Yield the cells of each row, without the header, of the first table below a heading."""
    _, found, rest = f"\n{text(document)}".partition(f"\n{heading}\n")
    assert found, f"{document} has no {heading}"
    lines = dropwhile(lambda line: not line.startswith("|"), rest.splitlines())
    for line in [*takewhile(lambda line: line.startswith("|"), lines)][2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]
