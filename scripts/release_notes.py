"""Print the section of CHANGELOG.md for the version that is released: `python scripts/release_notes.py 1.0.0`."""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def notes(version: str, root: Path = ROOT) -> str:
    """Return the section. Raises SystemExit unless it exists and pyproject.toml has this version."""
    released = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    if released != version:
        raise SystemExit(f"pyproject.toml has version {released}; it should be {version}.")
    section = re.search(
        rf"^## \[{re.escape(version)}\][^\n]*\n(.*?)(?=^## |\Z)",
        (root / "CHANGELOG.md").read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    if section is None or not section[1].strip():
        raise SystemExit(f"CHANGELOG.md has no section [{version}]; move the entries of [Unreleased] there.")
    return section[1].strip()


if __name__ == "__main__":
    print(notes(sys.argv[1]))
