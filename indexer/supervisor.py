"""Has the index built anew when it is missing or can't be trusted, and clears away what killed rebuilds left."""

import asyncio
from contextlib import suppress

import structlog

from core.errors import BACKEND_ERRORS
from core.settings import Settings
from indexer.backends import Backends
from indexer.errors import IndexerError, ReindexRunningError
from indexer.index import admin, targets
from indexer.index.reconcile import IndexProblem, find_problem, rebuild_connection, reconcile
from indexer.index.targets import TargetState
from indexer.rebuild.reindex import reindex

log = structlog.get_logger()

CHECK_SECONDS = 30.0
SPACING_SECONDS = 2.0
"""Between two checks, however much doubt there is."""
LONGEST_PAUSE_SECONDS = 300.0
"""Between two checks when one after the other fails: a reindex that fails again and again must not be all that runs."""


class IndexSupervisor:
    def __init__(self, settings: Settings, stores: Backends) -> None:
        self._settings = settings
        self._stores = stores
        self._doubted = asyncio.Event()
        self._just_started = True
        self._ordered = False

    def doubt(self) -> None:
        """Has the next check made at once."""
        self._doubted.set()

    def order(self) -> None:
        """Has a reindex made at once, whatever the state of the index."""
        self._ordered = True
        self._doubted.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        pause = SPACING_SECONDS
        while True:
            self._doubted.clear()
            try:
                await self.check()
                pause = SPACING_SECONDS
            except (IndexerError, *BACKEND_ERRORS) as error:
                log.warning("index_check_failed", error=type(error).__name__, message=str(error)[:300])
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(pause)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._doubted.wait(), CHECK_SECONDS)

    async def check(self) -> None:
        fault = await find_problem(self._stores)
        if fault is IndexProblem.OTHER_DOCUMENTS and not self._just_started:
            # A newer process has put its own index in use: this one waits to be replaced.
            fault = None
        try:
            if fault or self._ordered:
                log.warning("index_rebuilt", because=fault or "it was asked for")
                await reindex(self._settings, lambda progress: None)
                self._ordered = False
            elif await self._has_leftovers():
                async with rebuild_connection(self._settings) as connection:
                    await reconcile(connection, self._stores)
        except ReindexRunningError:
            # By another process, which may fail: then it is this one's turn.
            return
        self._just_started = False

    async def _has_leftovers(self) -> bool:
        """Of a rebuild or a rollback that was killed. Also true while one runs; `builder` then refuses."""
        live = await admin.live_index(self._stores.elasticsearch, self._stores.alias)
        async with self._stores.postgres.connect() as connection:
            known = await targets.read_targets(connection)
        return any(t.state is TargetState.BUILDING or (t.state is TargetState.LIVE) != (t.name == live) for t in known)
