"""What the API keeps of Postgres follows Postgres, whatever becomes of Elasticsearch."""

from functools import partial

import httpx2
import pytest

from schemas.index_document import DOCUMENT_VERSION
from tests.fault_injection.worker.conftest import Scene
from tests.fault_injection.worker.worker_process import working
from tests.support.api.serving import serving
from tests.support.eventually import eventually
from tests.support.fault_proxy import Mode
from tests.support.sync import execute

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq's own

COMPANIES = "/api/v2/companies"
RENAME = "UPDATE companies SET name = :name WHERE id = :id"
OCCURRENCES = "/api/v2/occurrences"
NOTE = "UPDATE trip_occurrences SET notes = :name WHERE id = :id"


@pytest.mark.parametrize("mode", [Mode.CUT, Mode.STALL])
async def test_a_renamed_company_is_shown_within_two_seconds_though_elasticsearch_fails(
    scene: Scene, mode: Mode
) -> None:
    await assert_changes_are_shown(scene, mode, COMPANIES, RENAME, within=2.0)


async def test_a_changed_departure_is_shown_before_it_is_forgotten_though_elasticsearch_fails(scene: Scene) -> None:
    await assert_changes_are_shown(scene, Mode.CUT, OCCURRENCES, NOTE, within=15.0)


async def test_a_renamed_company_is_shown_within_two_seconds_though_no_index_can_be_written_to(scene: Scene) -> None:
    settings = scene.settings.model_copy(update={"rate_limit_enabled": False})
    documents_of = "UPDATE smarttrip.index_targets SET mapping_hash = :hash"
    async with working(scene.settings), serving(settings) as api:
        await scene.in_sync()
        # As the worker of another release finds it, before its own index is built.
        await execute(scene.platform.engine, documents_of, hash="another release")
        number = (await api.get(COMPANIES)).json()["data"][0]["id"]
        for name in ("First", "Second"):
            await execute(scene.platform.engine, RENAME, name=name, id=number)
            await eventually(partial(is_shown, api, COMPANIES, name), 2.0)
        await execute(scene.platform.engine, documents_of, hash=str(DOCUMENT_VERSION))
        await scene.in_sync()


async def assert_changes_are_shown(scene: Scene, mode: Mode, path: str, change: str, *, within: float) -> None:
    """Others were made before, which the worker has failed to bring to Elasticsearch."""
    settings = scene.settings.model_copy(update={"rate_limit_enabled": False})
    async with working(scene.breakable), serving(settings) as api:
        await scene.in_sync()
        await scene.ways["elasticsearch"].switch(mode)
        await execute(scene.platform.engine, "UPDATE trip_occurrences SET spots_left = 3")
        number = (await api.get(path)).json()["data"][0]["id"]
        for name in ("First", "Second"):
            await execute(scene.platform.engine, change, name=name, id=number)
            await eventually(partial(is_shown, api, path, name), within)
        await scene.ways["elasticsearch"].switch(Mode.PASS)
        await scene.in_sync()


async def is_shown(api: httpx2.AsyncClient, path: str, name: str) -> bool:
    return name in (await api.get(path)).text
