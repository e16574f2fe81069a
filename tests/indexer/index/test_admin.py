import pytest
from elasticsearch import ApiError

from indexer.backends import Backends
from indexer.errors import AliasAmbiguousError, AliasNameTakenError
from indexer.index import admin
from schemas.index_document import DOCUMENT_VERSION

pytestmark = pytest.mark.usefixtures("no_index")


async def made(stores: Backends) -> str:
    name = admin.new_name(stores.alias)
    await admin.create(stores.elasticsearch, name, {"timeline": 1})
    return name


async def test_index_stores_document_version_and_origin(stores: Backends) -> None:
    name = await made(stores)
    assert await admin.meta(stores.elasticsearch, name) == {"document_version": DOCUMENT_VERSION, "timeline": 1}


async def test_tombstones_are_retained_for_an_hour(stores: Backends) -> None:
    name = await made(stores)
    found = await stores.elasticsearch.indices.get_settings(index=name)
    assert found[name]["settings"]["index"]["gc_deletes"] == "1h"


async def test_finished_index_refreshes_and_is_durable(stores: Backends) -> None:
    name = await made(stores)
    await admin.finish_loading(stores.elasticsearch, name)
    found = (await stores.elasticsearch.indices.get_settings(index=name))[name]["settings"]["index"]
    assert found["refresh_interval"] == "1s"
    assert found["translog"]["durability"] == "request"
    assert found["auto_expand_replicas"] == "0-1"


async def test_alias_moves_between_indices(stores: Backends) -> None:
    es, first, second = stores.elasticsearch, await made(stores), await made(stores)
    assert await admin.live_index(es, stores.alias) is None
    await admin.swap_alias(es, stores.alias, None, first)
    assert await admin.live_index(es, stores.alias) == first
    await admin.swap_alias(es, stores.alias, first, second)
    assert await admin.live_index(es, stores.alias) == second


async def test_alias_that_moved_meanwhile_is_not_swapped(stores: Backends) -> None:
    es, first, second, third = stores.elasticsearch, await made(stores), await made(stores), await made(stores)
    await admin.swap_alias(es, stores.alias, None, first)
    with pytest.raises(ApiError):
        await admin.swap_alias(es, stores.alias, second, third)
    assert await admin.live_index(es, stores.alias) == first


async def test_index_with_alias_name_is_reported(stores: Backends) -> None:
    await stores.elasticsearch.indices.create(index=stores.alias)
    with pytest.raises(AliasNameTakenError, match=stores.alias):
        await admin.live_index(stores.elasticsearch, stores.alias)


async def test_alias_of_several_indices_is_reported(stores: Backends) -> None:
    for name in (await made(stores), await made(stores)):
        await stores.elasticsearch.indices.put_alias(index=name, name=stores.alias)
    with pytest.raises(AliasAmbiguousError, match="remove it from all but one"):
        await admin.live_index(stores.elasticsearch, stores.alias)


async def test_all_names_ignores_foreign_indices(stores: Backends) -> None:
    name = await made(stores)
    for other in (f"{stores.alias}-archive", f"{stores.alias}-x-20261124000000000000"):
        await stores.elasticsearch.indices.create(index=other)
    assert await admin.all_names(stores.elasticsearch, stores.alias) == {name}


async def test_dropping_missing_index_is_no_error(stores: Backends) -> None:
    await admin.drop(stores.elasticsearch, [f"{stores.alias}-nothing"])


async def test_empty_index_has_version_zero(stores: Backends) -> None:
    name = await made(stores)
    assert await admin.highest_version(stores.elasticsearch, name) == 0
