"""Follow recipes of CONTRIBUTING.md in a copy of the tree, and run the tests that they promise to satisfy."""

import re
import shutil
from pathlib import Path

import pytest

from tests.support.recipes import TreeCopy

MAX_EDITED_FILES = 8
GOLDEN_DOCUMENT = "tests/indexer/documents/test_golden_document.py"
INTERFACE = "tests/interface/test_interface.py"

RULE = """

def company(search: SearchContext) -> Iterator[Rule]:
    if search.preferences.preferred_companies:
        companies = as_terms(search.preferences.preferred_companies)
        yield Rule("company", search.weights.company, "Preferred Company", In("company", companies))
"""

PREFERENCE = """Companies = Annotated[
    tuple[int, ...], sorted_set(parse_id), _input("Company ids; trips of these are better.", _list(*_ID))
]
"""

FIELD = """    "company": DocumentField(
        es_type="keyword",
        column=TripTemplate.company_id.expression,
        from_template=lambda template: str(template.company_id),
    ),
"""

REFERENCE_RULE = """

def company_points(
    trip: TripDocument, preferences: ReferencePreferences, weights: ReferenceWeights
) -> list[tuple[int, str]]:
    return [(weights.company, "Preferred Company")] if int(trip.company) in preferences.companies else []
"""


@pytest.fixture
def tree(tmp_path: Path) -> TreeCopy:
    return TreeCopy.create(tmp_path / "tree")


def add_rule(tree: TreeCopy) -> None:
    """Steps 1 to 4 of "Add a rule"."""
    tree.insert_after("scoring/weights.py", ("    continent: Bonus = 5\n", "    company: Bonus = 5\n"))
    tree.insert_after(
        "scoring/rules.py",
        ("from scoring.context import SearchContext", ", as_terms"),
        ('"Continent Match", In("continent", continents))\n', RULE),
        ("    departing_soon,\n    location,\n", "    company,\n"),
    )
    tree.insert_after(
        "schemas/api/preferences.py",
        ('_CONTINENTS = [name for member in Continent for name in (member.value, member.name)] + ["North America"]\n\n',
         PREFERENCE),
        ("    preferred_theme_ids: Themes = ()\n", "    preferred_companies: Companies = ()\n"),
        ("            self.preferred_theme_ids,\n", "            self.preferred_companies,\n"),
    )  # fmt: skip
    tree.insert_after(
        "tests/scoring/reference.py",
        ("    themes: frozenset[int] = frozenset()\n", "    companies: frozenset[int] = frozenset()\n"),
        ("    return points + stays + others", " + company_points(trip, preferences, weights)"),
        ("    continent: int = 5\n", "    company: int = 5\n"),
        ('        return [(weights.continent, "Continent Match")]\n    return []\n', REFERENCE_RULE),
    )
    tree.insert_after(
        "tests/scoring/strategies.py",
        ("THEMES = (1, 2, 3, 4, 5)\n", "COMPANIES = (1, 2, 3)\n"),
        ("        status=status,\n", "        company=str(choose.choice(COMPANIES)),\n"),
        ("some((*THEMES, 99_999)),\n", "        companies=st.just(frozenset()) | some((*COMPANIES, 99_999)),\n"),
        ("number(id_) for id_ in preferences.themes],\n", '        "preferred_companies": [*preferences.companies],\n'),
        ('    "preferred_theme_ids": _IDS,\n', '    "preferred_companies": _IDS,\n'),
    )


def add_field(tree: TreeCopy) -> None:
    """Steps 5 and 6 of "Add a rule"."""
    document = "schemas/index_document.py"
    version = re.search(r"DOCUMENT_VERSION = (\d+)\n", (tree.path / document).read_text(encoding="utf-8"))
    assert version is not None
    tree.replace(document, version[0], f"DOCUMENT_VERSION = {int(version[1]) + 1}\n")
    tree.insert_after(document, ("    status: str\n", "    company: str\n"))
    tree.insert_after(
        "schemas/document_fields.py", ("        from_departure=lambda departure: departure.status,\n    ),\n", FIELD)
    )


def record_again(tree: TreeCopy, test: str) -> None:
    """Steps 4 and 7 of "Add a rule": copy the file that the failing test names over the recorded one."""
    failed = tree.run_tests(test).stdout
    copied = re.search(r"`cp (/\S+) (/\S+)`", failed)
    assert copied is not None, failed
    shutil.copyfile(copied[1], tree.path / copied[2])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_documented_steps_add_rule_with_new_field(tree: TreeCopy) -> None:
    add_rule(tree)
    add_field(tree)
    record_again(tree, GOLDEN_DOCUMENT)
    record_again(tree, INTERFACE)
    assert len(tree.edited) <= MAX_EDITED_FILES
    # Fewer examples than in the suite itself: this is about the recipe.
    tree.replace("tests/scoring/test_ranking.py", "CASES = 1_100", "CASES = 150")
    tree.replace("tests/app/recommendations/trip_search/test_postgres.py", "max_examples=150", "max_examples=60")
    ran = tree.run_tests(
        "tests/scoring",
        "tests/app/recommendations/trip_search/test_postgres.py",
        "tests/app/endpoints/test_openapi.py",
        "tests/schemas/api/test_preferences.py",
        "tests/indexer/documents",
        "tests/indexer/index/test_admin.py",
    )
    assert ran.returncode == 0, ran.stdout


def test_undescribed_field_is_rejected_at_import(tree: TreeCopy) -> None:
    tree.insert_after("schemas/index_document.py", ("    status: str\n", "    company: str\n"))
    assert "should name the same fields" in tree.run_tests("tests/scoring/test_predicates.py").stderr
