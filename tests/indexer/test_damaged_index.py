"""Whatever is done to indexes by hand is named, and healed where nothing is lost: to aliases, to states, to both."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from contextlib import suppress
from functools import partial
from itertools import product
from typing import NamedTuple

import pytest
from _pytest.mark import ParameterSet
from elasticsearch import AsyncElasticsearch, AuthorizationException
from structlog.testing import capture_logs

from core.concurrency.tasks import background_task
from core.configuration.settings import Settings
from indexer import metrics
from indexer.backends import Backends
from indexer.errors import IndexUnavailableError
from indexer.index.admin import history_index, indices_of, live_index, new_name, write_alias
from indexer.observability.collection import collect_forever
from indexer.observability.index_metrics import collect_index
from indexer.preflight.comparison import compare_index
from indexer.rebuild.reindex import reindex
from indexer.supervisor import IndexSupervisor
from tests.support.eventually import eventually
from tests.support.factories import CatalogueFactory
from tests.support.sync import assert_in_sync, drain, execute, ignore_progress

ALIASES: dict[str, Callable[[Settings, str], tuple[str, str]]] = {
    "searches": lambda settings, index: (index, settings.search_alias),
    "people": lambda settings, index: (index, settings.elasticsearch_alias),
    "writes": lambda _settings, index: (index, write_alias(index)),
    "writes of versions": lambda _settings, index: (history_index(index), write_alias(history_index(index))),
}
"""Index and alias, by who uses the alias."""


async def leave(es: AsyncElasticsearch, name: str) -> None:
    pass


async def close(es: AsyncElasticsearch, name: str) -> None:
    await es.indices.close(index=name)


async def block_all(es: AsyncElasticsearch, name: str) -> None:
    await es.indices.put_settings(index=name, settings={"index.blocks.read_only": True})


async def block_writes(es: AsyncElasticsearch, name: str) -> None:
    await es.indices.put_settings(index=name, settings={"index.blocks.write": True})


async def delete(es: AsyncElasticsearch, name: str) -> None:
    await es.indices.delete(index=name)


STATES: dict[str, Callable[[AsyncElasticsearch, str], Awaitable[None]]] = {
    "open": leave,
    "closed": close,
    "read-only": block_all,
    "write-protected": block_writes,
    "deleted": delete,
}
BLOCKED = ("read-only", "write-protected")
PARTS: dict[str, Callable[[str], str]] = {"index": lambda index: index, "history": history_index}


class Damage(NamedTuple):
    part: str
    state: str
    lost: str
    """The alias that is deleted, by who uses it; `all` or `none` of them."""

    async def do(self, settings: Settings, backends: Backends, index: str) -> None:
        es = backends.elasticsearch
        for use in ALIASES.keys() & (ALIASES.keys() if self.lost == "all" else {self.lost}):
            name, alias = ALIASES[use](settings, index)
            await es.indices.delete_alias(index=name, name=alias)
        await STATES[self.state](es, PARTS[self.part](index))
        await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5")


DAMAGES = [
    Damage(part, state, lost)
    for part, state, lost in product(PARTS, STATES, ["none", "all", *ALIASES])
    if state != "open" or (part == "index" and lost != "none")
]


@pytest.fixture
async def trips(catalogue: CatalogueFactory, backends: Backends, index: str) -> AsyncIterator[list[int]]:
    trips = [await catalogue.occurrence() for _ in range(3)]
    await drain(backends)
    yield trips
    await unblock(backends)


async def unblock(backends: Backends) -> None:
    blocks = {"index.blocks.read_only": None, "index.blocks.write": None}
    await backends.elasticsearch.indices.put_settings(index=f"{backends.alias}-*", settings=blocks)


async def assert_aliases(settings: Settings, backends: Backends, index: str) -> None:
    for pair in ALIASES.values():
        name, alias = pair(settings, index)
        assert await indices_of(backends.elasticsearch, alias) == [name]


async def test_every_alias_is_among_them(settings: Settings, backends: Backends, index: str) -> None:
    found = await backends.elasticsearch.indices.get_alias(index=[index, history_index(index)])
    existing = {(name, alias) for name, of in found.items() for alias in of["aliases"]}
    assert existing == {pair(settings, index) for pair in ALIASES.values()}


QUICK = [("closed", "none"), ("closed", "all"), *(("open", alias) for alias in ("all", *ALIASES))]


def marked(damages: Iterable[Damage], quick: Collection[tuple[str, str]]) -> list[ParameterSet]:
    """Return the damages as parameters; all but a few states and lost aliases are slow."""
    marks = {damage: () if damage[1:] in quick else (pytest.mark.slow,) for damage in damages}
    return [pytest.param(damage, id=" ".join(damage), marks=marks[damage]) for damage in damages]


@pytest.mark.parametrize("damage", marked(DAMAGES, QUICK))
async def test_damage_is_named_and_healed(
    settings: Settings, backends: Backends, index: str, trips: list[int], damage: Damage
) -> None:
    await damage.do(settings, backends, index)
    assert await compare_index(settings)
    supervisor = IndexSupervisor(settings, backends)
    if damage.state in BLOCKED:
        # Changes wait for whoever set the block; an alias cannot be put back meanwhile.
        with suppress(AuthorizationException):
            await supervisor.check()
        assert await compare_index(settings)
        await unblock(backends)
    await supervisor.check()
    live = await live_index(backends.elasticsearch, backends.alias)
    assert live is not None
    assert (live == index) == (damage.state != "deleted")
    await assert_aliases(settings, backends, live)
    await drain(backends)
    await assert_in_sync(settings)
    assert await compare_index(settings) == []


@pytest.mark.parametrize("damage", marked(DAMAGES, [("closed", "all"), ("open", "writes of versions")]))
async def test_reindex_replaces_a_damaged_index(
    settings: Settings, backends: Backends, index: str, trips: list[int], damage: Damage
) -> None:
    await damage.do(settings, backends, index)
    if damage.part == "history" and damage.state in BLOCKED:
        # What is written to the new index is recorded in the history.
        with pytest.raises((IndexUnavailableError, AuthorizationException), match="cluster_block_exception"):
            await reindex(settings, ignore_progress)
        await unblock(backends)
    live = (await reindex(settings, ignore_progress)).name
    assert live != index
    await assert_aliases(settings, backends, live)


@pytest.mark.parametrize("use", ["searches", "people"])
async def test_alias_of_two_indexes_is_named_and_does_not_end_the_worker(
    settings: Settings, backends: Backends, index: str, use: str
) -> None:
    es, other = backends.elasticsearch, new_name(backends.alias)
    _, alias = ALIASES[use](settings, index)
    await es.indices.create(index=other, aliases={alias: {}})
    try:
        assert [text for text in await compare_index(settings) if "remove it from all but one" in text]
        with capture_logs() as logs:
            async with background_task(collect_forever(partial(collect_index, backends), 0.01)):
                await eventually(lambda: metrics.INDEX_CREATED._value.get() > 0 or bool(logs))
        assert {line["error"] for line in logs} <= {"AliasAmbiguousError"}
    finally:
        await es.indices.delete(index=other)
