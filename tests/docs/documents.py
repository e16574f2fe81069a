"""The documents as text, and their tables."""

from collections.abc import Iterator
from itertools import dropwhile, takewhile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def table(document: str, heading: str) -> Iterator[list[str]]:
    """The cells of the rows, without the two of the head, of the first table below a heading."""
    text = (ROOT / document).read_text()
    _, found, rest = text.partition(f"\n{heading}\n")
    assert found, f"{document} has no {heading}"
    lines = dropwhile(lambda line: not line.startswith("|"), rest.splitlines())
    for line in [*takewhile(lambda line: line.startswith("|"), lines)][2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]
