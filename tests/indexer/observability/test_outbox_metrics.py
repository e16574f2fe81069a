from prometheus_client import REGISTRY

from indexer.backends import Backends
from indexer.observability.outbox_metrics import collect_outbox
from tests.support.sync import execute


def value(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0.0


async def test_backlog_and_dead_letters_are_exported(backends: Backends) -> None:
    await execute(
        backends.postgres,
        "INSERT INTO smarttrip.outbox (kind, row_id, attempts, created_at)"
        " SELECT 'occurrence', n, n, now() - make_interval(mins => n) FROM generate_series(1, 3) AS n",
    )
    await execute(
        backends.postgres,
        "INSERT INTO smarttrip.outbox_dead (kind, row_id, error, created_at) VALUES ('occurrence', 1, 'bad', now())",
    )
    await collect_outbox(backends.postgres)
    assert value("smarttrip_outbox_rows") == 3
    assert 180 <= value("smarttrip_outbox_oldest_seconds") < 240
    assert value("smarttrip_outbox_attempts") == 3
    assert value("smarttrip_outbox_dead_rows") == 1


async def test_empty_outbox_has_no_age(backends: Backends) -> None:
    await collect_outbox(backends.postgres)
    assert value("smarttrip_outbox_rows") == value("smarttrip_outbox_oldest_seconds") == 0
