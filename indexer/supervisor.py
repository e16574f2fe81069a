"""Has the index built anew when it is missing or can't be trusted, and clears away what killed rebuilds left."""

import asyncio
from contextlib import suppress

import structlog

from core.errors import FAILURES
from core.settings import Settings
from indexer.backends import Stores
from indexer.errors import Refusal, ReindexRunning
from indexer.index import admin, targets
from indexer.index.reconcile import Fault, builder, clean_up, find_fault
from indexer.index.targets import State
from indexer.rebuild.reindex import reindex

log = structlog.get_logger()

CHECK_SECONDS = 30.0
SPACING_SECONDS = 2.0
"""Between two checks, however much doubt there is."""
LONGEST_PAUSE_SECONDS = 300.0
"""Between two checks when one after the other fails: a reindex that fails again and again must not be all that runs."""


class Guard:
    def __init__(self, settings: Settings, stores: Stores) -> None:
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
            except (Refusal, *FAILURES) as error:
                log.warning("index_check_failed", error=type(error).__name__, message=str(error)[:300])
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(pause)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._doubted.wait(), CHECK_SECONDS)

    async def check(self) -> None:
        fault = await find_fault(self._stores)
        if fault is Fault.OTHER_DOCUMENTS and not self._just_started:
            # A newer process has put its own index in use: this one waits to be replaced.
            fault = None
        try:
            if fault or self._ordered:
                log.warning("index_rebuilt", because=fault or "it was asked for")
                await reindex(self._settings, lambda progress: None)
                self._ordered = False
            elif await self._is_anything_left():
                async with builder(self._settings) as connection:
                    await clean_up(connection, self._stores)
        except ReindexRunning:
            # By another process, which may fail: then it is this one's turn.
            return
        self._just_started = False

    async def _is_anything_left(self) -> bool:
        """Of a rebuild or a rollback that was killed. Also true while one runs; `builder` then refuses."""
        live = await admin.behind_alias(self._stores.elasticsearch, self._stores.alias)
        async with self._stores.postgres.connect() as connection:
            known = await targets.read_targets(connection)
        return any(t.state is State.BUILDING or (t.state is State.LIVE) != (t.name == live) for t in known)
