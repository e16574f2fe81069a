"""The code map lists every package, and the page of import layers the layers that are enforced."""

import ast
import tomllib
from itertools import groupby

import pytest

from tests.docs.documents import QUOTED, ROOT, table

PACKAGES = ("app", "core", "indexer", "migrations", "schemas", "scoring", "scripts", "tracking")


def packages() -> set[str]:
    found = {path.parent for package in PACKAGES for path in (ROOT / package).rglob("__init__.py")}
    return {f"{path.relative_to(ROOT)}/" for path in found} | {"tests/"}


def test_code_map_lists_exactly_the_packages() -> None:
    rows = table("docs/explanation/code-map.md", "## Packages")
    assert sorted(QUOTED.findall(name)[0] for name, _ in rows) == sorted(packages())


@pytest.mark.parametrize("package", sorted(packages() - {"tests/"}))
def test_docstring_of_package_says_what_the_map_says(package: str) -> None:
    contents = dict(table("docs/explanation/code-map.md", "## Packages"))
    docstring = ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text())) or ""
    assert docstring.partition("\n")[0].lower() == f"{contents[f'`{package}`']}.".lower()


def enforced_layers() -> list[set[str]]:
    """Return the top-level packages of each layer; several layers within one package count as one."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if "scripts" in contract.get("layers", ()))
    packages = ({module.split(".")[0] for module in layer.split(" | ")} for layer in layers)
    return [layer for layer, _ in groupby(packages)]


def test_documented_layers_are_enforced() -> None:
    documented = [set(QUOTED.findall(names)) for names, _ in table("docs/reference/import-layers.md", "## Layers")]
    assert documented == enforced_layers()
