import pytest
from sqlalchemy import make_url

from core.configuration.settings import Settings
from indexer.errors import DirectUrlMismatchError
from indexer.index.reconcile import rebuild_connection


async def test_direct_url_of_another_database_is_refused(settings: Settings) -> None:
    other = make_url(settings.database_url).set(database="postgres").render_as_string(hide_password=False)
    with pytest.raises(DirectUrlMismatchError):
        async with rebuild_connection(settings.model_copy(update={"database_direct_url": other})):
            pass


async def test_other_way_to_the_same_database_is_accepted(settings: Settings) -> None:
    same = make_url(settings.database_url).update_query_dict({"application_name": "direct"})
    url = same.render_as_string(hide_password=False)
    async with rebuild_connection(settings.model_copy(update={"database_direct_url": url})):
        pass
