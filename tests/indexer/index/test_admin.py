import pytest
from elasticsearch import ApiError

from indexer.backends import Backends
from indexer.errors import AliasAmbiguousError, AliasNameTakenError
from indexer.index import admin
from schemas.index_document import DOCUMENT_VERSION

pytestmark = pytest.mark.usefixtures("no_index")


async def made(backends: Backends) -> str:
    name = admin.new_name(backends.alias)
    await admin.create(backends.elasticsearch, name, {"timeline": 1})
    return name


async def test_index_stores_document_version_and_origin(backends: Backends) -> None:
    name = await made(backends)
    assert await admin.meta(backends.elasticsearch, name) == {"document_version": DOCUMENT_VERSION, "timeline": 1}


async def test_tombstones_are_retained_for_an_hour(backends: Backends) -> None:
    name = await made(backends)
    found = await backends.elasticsearch.indices.get_settings(index=name)
    assert found[name]["settings"]["index"]["gc_deletes"] == "1h"


async def test_finished_index_refreshes_and_is_durable(backends: Backends) -> None:
    name = await made(backends)
    await admin.finish_loading(backends.elasticsearch, name)
    found = (await backends.elasticsearch.indices.get_settings(index=name))[name]["settings"]["index"]
    assert found["refresh_interval"] == "1s"
    assert found["translog"]["durability"] == "request"
    assert found["auto_expand_replicas"] == "0-1"


async def test_alias_moves_between_indices(backends: Backends) -> None:
    es, first, second = backends.elasticsearch, await made(backends), await made(backends)
    assert await admin.live_index(es, backends.alias) is None
    await admin.swap_alias(es, backends.alias, None, first)
    assert await admin.live_index(es, backends.alias) == first
    await admin.swap_alias(es, backends.alias, first, second)
    assert await admin.live_index(es, backends.alias) == second


async def test_alias_that_moved_meanwhile_is_not_swapped(backends: Backends) -> None:
    es, first, second, third = backends.elasticsearch, await made(backends), await made(backends), await made(backends)
    await admin.swap_alias(es, backends.alias, None, first)
    with pytest.raises(ApiError):
        await admin.swap_alias(es, backends.alias, second, third)
    assert await admin.live_index(es, backends.alias) == first


async def test_index_with_alias_name_is_reported(backends: Backends) -> None:
    await backends.elasticsearch.indices.create(index=backends.alias)
    with pytest.raises(AliasNameTakenError, match=backends.alias):
        await admin.live_index(backends.elasticsearch, backends.alias)


async def test_alias_of_several_indices_is_reported(backends: Backends) -> None:
    for name in (await made(backends), await made(backends)):
        await backends.elasticsearch.indices.put_alias(index=name, name=backends.alias)
    with pytest.raises(AliasAmbiguousError, match="remove it from all but one"):
        await admin.live_index(backends.elasticsearch, backends.alias)


async def test_all_names_ignores_foreign_indices(backends: Backends) -> None:
    name = await made(backends)
    for other in (f"{backends.alias}-archive", f"{backends.alias}-x-20261124000000000000"):
        await backends.elasticsearch.indices.create(index=other)
    assert await admin.all_names(backends.elasticsearch, backends.alias) == {name}


async def test_dropping_missing_index_is_no_error(backends: Backends) -> None:
    await admin.drop(backends.elasticsearch, [f"{backends.alias}-nothing"])


async def test_empty_index_has_version_zero(backends: Backends) -> None:
    name = await made(backends)
    assert await admin.highest_version(backends.elasticsearch, name) == 0
