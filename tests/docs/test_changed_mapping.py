"""A changed mapping, as the guide to gradual rollouts has it: compared, promoted and rolled back, or not promoted."""

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from elasticsearch import AsyncElasticsearch
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from indexer.index.admin import indices_of, live_index
from indexer.rebuild.reindex import reindex
from schemas.index_document import DOCUMENT_VERSION
from scripts import sample_data
from scripts.errors import ExitCode
from tests.conftest import TODAY, drop_indices
from tests.docs.documents import text
from tests.docs.test_roll_out_gradually import GUIDE, RELEASE, commands
from tests.docs.test_tutorial import run
from tests.support.processes import environment
from tests.support.recipes import ROOT, TreeCopy
from tests.support.release import COMMAND, Release, raise_document_version

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PATIENT = {"ANSWER_CACHE_SECONDS": "0", "ELASTICSEARCH_SECONDS": "30"}
"""Without a cache there is no fallback for slow searches, of which a busy machine has some."""
SEARCHES = "".join(f'{{"budget": {budget}}}\n' for budget in (900, 2000, 5000, 9000, 12000))
PRICE = '    "price": DocumentField(\n        es_type="long"'


def mapped_as(es_type: str, folder: Path) -> Path:
    """Return a release with another mapping of the price, and of nothing else."""
    tree = TreeCopy.create(folder)
    raise_document_version(tree)
    tree.replace("schemas/document_fields.py", PRICE, PRICE.replace("long", es_type))
    return tree.path


@pytest.fixture
async def alias(settings: Settings, database: AsyncEngine) -> AsyncIterator[str]:
    """Fill database and index; return the alias for people."""
    await drop_indices(settings)
    await sample_data.seed(settings.database_url, 300, today=TODAY)
    await reindex(settings, lambda _progress: None)
    yield settings.elasticsearch_alias
    await drop_indices(settings)


async def run_block(number: int, folder: Path, env: dict[str, str]) -> str:
    """Run the commands of one block of the section, the first of which is 0."""
    parts = text(GUIDE).partition(RELEASE)[2].split("\n\n")
    blocks = [part for part in parts if part.startswith("    ")]
    return await run(commands(blocks[number]), folder, env)


def shell(settings: Settings, next_release: Path, folder: Path) -> dict[str, str]:
    """Return the environment of a shell in which `$NEXT` runs the other release's commands."""
    (folder / "searches.jsonl").write_text(SEARCHES)
    wrapper = folder / "next-smarttrip"
    python, *arguments = COMMAND
    quoted = " ".join(f"'{argument}'" for argument in arguments)
    wrapper.write_text(f'#!/bin/sh\nPYTHONPATH={next_release} exec {python} {quoted} "$@"\n')
    wrapper.chmod(0o755)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return environment(settings, PATH=path, NEXT=str(wrapper), ALIAS=settings.elasticsearch_alias, **PATIENT)


async def test_changed_mapping_is_compared_promoted_and_rolled_back(
    settings: Settings, alias: str, es: AsyncElasticsearch, tmp_path: Path
) -> None:
    next_tree = mapped_as("integer", tmp_path / "next")
    env = shell(settings, next_tree, tmp_path)
    old, new = f"{alias}-v{DOCUMENT_VERSION}", f"{alias}-v{DOCUMENT_VERSION + 1}"
    compared = await run_block(0, tmp_path, env)
    assert "5 searches, 0.0% answered differently" in compared
    assert await live_index(es, old) != await live_index(es, new)
    assert await mapping_of_price(es, old) == {"type": "long"}
    assert await mapping_of_price(es, new) == {"type": "integer"}
    async with Release(settings, ROOT).api(**PATIENT) as api, Release(settings, next_tree).api(**PATIENT) as next_api:
        compared = await run_block(1, tmp_path, env | {"API": api.url, "NEXT_API": next_api.url})
        assert "5 searches, 0.0% answered differently" in compared
    assert await indices_of(es, alias) == [await live_index(es, new)]
    assert "is in use again" in await run_block(2, tmp_path, env)
    assert await indices_of(es, alias) == [await live_index(es, old)]


async def mapping_of_price(es: AsyncElasticsearch, index: str) -> object:
    (found,) = (await es.indices.get_mapping(index=index)).body.values()
    return found["mappings"]["properties"]["price"]


async def test_bad_mapping_is_found_before_any_client_is_answered_with_it(
    settings: Settings, alias: str, es: AsyncElasticsearch, tmp_path: Path
) -> None:
    """As text, 9000 is more than 12000."""
    new = Release(settings, mapped_as("keyword", tmp_path / "next"))
    shell(settings, new.tree, tmp_path)
    await new.run("migrate")
    await new.run("reindex")
    sides = ("--against", f"{alias}-v{DOCUMENT_VERSION}", "--to", f"{alias}-v{DOCUMENT_VERSION + 1}")
    file = str(tmp_path / "searches.jsonl")
    compared = await new.run("replay", "--file", file, *sides, code=ExitCode.DIFFERS)
    assert "unanswered           0" in compared
    live = await live_index(es, f"{alias}-v{DOCUMENT_VERSION}")
    async with Release(settings, ROOT).api(**PATIENT) as api:
        await Release(settings, ROOT).run("replay", "--file", file, "--against", str(live), "--to", api.url)
