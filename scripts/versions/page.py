"""The page that says on which versions of the servers the suites have passed."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

PAGE = Path("docs/reference/versions.md")

HEAD = """# Versions of servers

On which versions of Postgres, Redis and Elasticsearch the tests have passed. `make test-versions` runs the suites
`{suites}` on each that can be had here, in place of the one of the local stack, and writes this page;
`make test-versions T="Postgres 15"` runs one and leaves the other rows as they are. Tests that fail are repeated once,
alone, since some wait for a time. A version that is not listed has not been tried.

"""

Row = Sequence[str]


def render(rows: Mapping[str, Row], suites: Sequence[str]) -> str:
    """Return the page for rows by the name of the server: version, source, date, and the outcome of each suite."""
    columns = ("server", "version", "from", "tried on", *(Path(suite).stem for suite in suites))
    lines = [columns, ["---"] * len(columns), *([name, *row] for name, row in rows.items())]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return HEAD.format(suites="`, `".join(suites)) + table + "\n"


def read(text: str) -> dict[str, Row]:
    """Return the rows of a page."""
    lines = re.findall(r"^\| (.*) \|$", text, flags=re.MULTILINE)[2:]
    return {cells[0]: cells[1:] for cells in (line.split(" | ") for line in lines)}
