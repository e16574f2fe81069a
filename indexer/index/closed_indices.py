"""Indexes that somebody closed: all searches and writes of them fail until they are opened again."""

from typing import Literal

import structlog
from elasticsearch import AsyncElasticsearch

from indexer.index import admin

log = structlog.get_logger()

AliasState = Literal["open", "closed", "missing"]


async def find_closed(es: AsyncElasticsearch, alias: str) -> set[str]:
    """Return the names of the closed indexes that have the alias or were created for it, whatever aliases they lost."""
    found = await _read_states(es, alias)
    return {name for name, (_, is_closed) in found.items() if is_closed}


async def open_closed(es: AsyncElasticsearch, alias: str) -> None:
    """Open the indexes that somebody closed."""
    for name in sorted(await find_closed(es, alias)):
        log.warning("index_reopened", name=name)
        await es.indices.open(index=name)


async def alias_state(es: AsyncElasticsearch, alias: str) -> AliasState:
    """Return whether the index that searches use is open, closed (it fails all searches and writes) or missing.

    While no index has the alias, a closed one that was created for it is the one that searches used.
    """
    states = (await _read_states(es, alias)).values()
    in_use = [is_closed for has_alias, is_closed in states if has_alias]
    if in_use:
        return "closed" if any(in_use) else "open"
    return "closed" if any(is_closed for _, is_closed in states) else "missing"


async def _read_states(es: AsyncElasticsearch, alias: str) -> dict[str, tuple[bool, bool]]:
    """Return whether an index has the alias, and whether it is closed, by the name of each of ours."""
    found = await es.indices.get(index=f"{alias}*", features="aliases,settings", expand_wildcards="open,closed")
    return {
        name: (alias in index["aliases"], "verified_before_close" in index["settings"]["index"])
        for name, index in found.body.items()
        if alias in index["aliases"] or admin.is_own_name(name, alias)
    }
