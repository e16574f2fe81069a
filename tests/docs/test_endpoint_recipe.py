"""The recipe "Add an endpoint" of CONTRIBUTING.md works: it is followed in a copy of the tree, in four files."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from tests.docs.documents import ROOT, text
from tests.support.factories import CatalogueFactory
from tests.support.processes import environment

PACKAGES = ("app", "core", "indexer", "migrations", "schemas", "scoring", "scripts", "tests", "tracking")

TEMPLATE = "/api/v2/companies/{id}/statistics"

MODEL = '''

class CompanyStatistics(Entity):
    departures: int
    """Number of future departures."""
'''

QUERY = '''

async def count_departures(session: ReadSession, company_id: int, today: date) -> int:
    """Return the number of the company's departures that start today or later."""
    departures = select(func.count()).select_from(TripOccurrence).join(TripOccurrence.template)
    future = departures.where(equals_id(TripTemplate.company_id, company_id), TripOccurrence.start_date >= today)
    return await session.scalar(future) or 0
'''

READER = '''async def get_statistics(
    session: ReadSession, company_id: int, today: date
) -> DetailResponse[CompanyStatistics]:
    """Raises 404 as ApiError if there is no such company."""
    if not await companies.company_exists(session, company_id):
        raise not_found("Company")
    departures = await companies.count_departures(session, company_id, today)
    return DetailResponse[CompanyStatistics].of({"departures": departures})


'''

ENDPOINT = """    Endpoint(
        method="GET",
        path="/api/v2/companies/{id:int}/statistics",
        handler=get_statistics,
        summary="Return statistics of a company",
        description="Return the number of the company's future departures.",
        tag="resources",
        rate_limit="resources",
        fast_path=True,
        cache=trip_policy("company", "template", "occurrence", depends_on_date=True),
        response=DetailResponse[CompanyStatistics],
    ),
)
"""

FIELDS = '    "GET /api/v2/companies/{id:int}/statistics": "data departures success",\n'

EDITS: dict[str, dict[str, str]] = {
    "schemas/api/reference_data.py": {r"\Z": MODEL},
    "app/repositories/companies.py": {
        r"\nfrom typing import": "\nfrom datetime import date\nfrom typing import",
        r"import Company, TripTemplate": "import Company, TripOccurrence, TripTemplate",
        r"\Z": QUERY,
    },
    "app/routes/companies.py": {
        r'"""\n\nfrom app\.backends': '"""\n\nfrom datetime import date\n\nfrom app.backends',
        r"reference_policy\n": "reference_policy, trip_policy\n",
        r"import CompanyDetails": "import CompanyDetails, CompanyStatistics",
        r"ENDPOINTS = \(": f"{READER}ENDPOINTS = (",
        r"\)\n\Z": ENDPOINT,
    },
    "tests/security/test_fields.py": {r"OTHERS = {\n": f"OTHERS = {{\n{FIELDS}"},
}
"""Replacements by file and by the pattern of what they replace."""


@pytest.fixture
def changed_tree(tmp_path: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file, replacements in EDITS.items():
        path = tmp_path / file
        content = path.read_text(encoding="utf-8")
        for pattern, new in replacements.items():
            content, count = re.subn(pattern, lambda _, new=new: new, content)  # type: ignore[misc]
            assert count == 1, f"{file}: {pattern}"
        path.write_text(content, encoding="utf-8")
    return tmp_path


def probe(tree: Path, settings: Settings, path: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.docs.endpoint_probe", path, TEMPLATE]
    variables = environment(settings, PYTHONPATH=str(tree))
    run = subprocess.run(command, cwd=tree, env=variables, capture_output=True, text=True, timeout=100, check=False)
    assert run.returncode == 0, run.stderr
    seen: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return seen


def test_recipe_names_the_folders_of_all_edits() -> None:
    _, _, section = text("CONTRIBUTING.md").partition("## Add an endpoint\n")
    named = re.findall(r"`([\w/]+(?:/|\.py))`", section.partition("\n## ")[0])
    assert len(EDITS) <= 4
    for file in EDITS:
        assert file.startswith(tuple(named)), file


async def test_recipe_adds_a_cached_endpoint(changed_tree: Path, settings: Settings, database: AsyncEngine) -> None:
    catalogue = CatalogueFactory(database)
    company = await catalogue.company()
    await catalogue.occurrence(trip_template_id=await catalogue.template(company_id=company))
    seen = probe(changed_tree, settings, f"/api/v2/companies/{company}/statistics")
    assert seen["tree"] == str(changed_tree)
    assert seen["statuses"] == [200, 200, 304]
    assert seen["bodies"] == [{"success": True, "data": {"departures": 1}}] * 2
    assert seen["statements"] == [2, 0]
    assert seen["group"] == "resources"
    assert seen["operation"]["summary"] == "Return statistics of a company"
    assert {"200", "404", "429", "503"} <= seen["operation"]["responses"].keys()
