"""Changes that wait for the index are counted by the reason, which the log names as well."""

from collections.abc import Awaitable, Callable

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis
from structlog.testing import capture_logs

from indexer.backends import Backends
from indexer.errors import IndexNotWritableError
from indexer.feed.wait_reasons import BY_ERROR, BY_WORD, reason_of
from tests.indexer.feed.test_consumer import consuming
from tests.support.eventually import eventually
from tests.support.factories import CatalogueFactory
from tests.support.sync import execute

Act = Callable[[Backends, str], Awaitable[object]]


def block(value: bool | None) -> Act:
    return lambda backends, index: backends.elasticsearch.indices.put_settings(
        index=index, settings={"index.blocks.write": value}
    )


CAUSES: dict[str, tuple[Act, Act | None]] = {
    "blocked": (block(True), block(None)),
    "closed": (
        lambda backends, index: backends.elasticsearch.indices.close(index=index),
        lambda backends, index: backends.elasticsearch.indices.open(index=index),
    ),
    "missing": (lambda backends, index: backends.elasticsearch.indices.delete(index=index), None),
    "no_index": (lambda backends, _index: execute(backends.postgres, "DELETE FROM smarttrip.index_targets"), None),
}
"""What somebody does, and how it is undone where the next test needs that, by reason."""


def waits(reason: str) -> float:
    return REGISTRY.get_sample_value("smarttrip_outbox_waits_total", {"reason": reason}) or 0.0


@pytest.mark.parametrize("reason", CAUSES)
async def test_reason_is_counted_and_logged(
    catalogue: CatalogueFactory, backends: Backends, index: str, redis: Redis, reason: str
) -> None:
    await catalogue.occurrence()
    begin, end = CAUSES[reason]
    await begin(backends, index)
    before = waits(reason)
    try:
        with capture_logs() as logs:
            async with consuming(backends, redis):
                await eventually(lambda: waits(reason) > before, within=20)
    finally:
        if end is not None:
            await end(backends, index)
    assert any(
        line.get("because") == reason if line["event"] == "departures_put_off" else line["event"] == "batch_failed"
        for line in logs
    )


def test_every_error_has_a_reason() -> None:
    assert BY_ERROR.keys() == set(IndexNotWritableError.__subclasses__())
    assert {reason_of(f"ApiError(403, '{word}', 'why')") for word in BY_WORD} == {*BY_WORD.values()}
