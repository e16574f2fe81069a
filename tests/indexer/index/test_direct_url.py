import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from core.configuration.settings import Settings
from indexer.errors import DirectUrlMismatchError
from indexer.index import direct_url
from indexer.index.reconcile import rebuild_connection


async def test_direct_url_of_another_database_is_refused(settings: Settings) -> None:
    other = make_url(settings.database_url).set(database="postgres").render_as_string(hide_password=False)
    with pytest.raises(DirectUrlMismatchError):
        async with rebuild_connection(settings.model_copy(update={"database_direct_url": other})):
            pass


def with_other_way(settings: Settings) -> Settings:
    """Return settings with another way to the same database."""
    same = make_url(settings.database_url).update_query_dict({"application_name": "direct"})
    return settings.model_copy(update={"database_direct_url": same.render_as_string(hide_password=False)})


async def test_other_way_to_the_same_database_is_accepted(settings: Settings) -> None:
    async with rebuild_connection(with_other_way(settings)):
        pass


END_HOLDER_AND_LOOK = text("""
WITH ended AS MATERIALIZED (
  SELECT pg_terminate_backend(pid, 5000) FROM pg_locks
  WHERE locktype = 'advisory' AND classid = :class AND objid = :number AND granted
)
SELECT count(*) = 0 FROM ended
""")


async def test_lock_lost_with_its_connection_is_no_mismatch(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker ends when it sees another database, and must not when Postgres was restarted."""
    monkeypatch.setattr(direct_url, "SEEN", END_HOLDER_AND_LOOK)
    with pytest.raises(DBAPIError):
        await direct_url.check_same_database(with_other_way(settings))
    await direct_url.check_same_database_if_reachable(with_other_way(settings))
