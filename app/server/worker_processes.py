"""The parent of several server processes: it replaces those that end, and says so."""

import structlog
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from app.observability.shared_metrics import mark_process_dead

log = structlog.get_logger()


class WorkerProcesses(Multiprocess):
    _known: tuple[Process, ...] = ()

    def keep_subprocess_alive(self) -> None:
        """Replace processes that have ended; log them, and take their gauges out of the shared metrics."""
        known = {*self._known, *self.processes}
        super().keep_subprocess_alive()
        for process in known:
            if process.exitcode is not None and process.pid is not None:
                log.warning("server_process_ended", pid=process.pid, exit_code=process.exitcode)
                mark_process_dead(process.pid)
        self._known = tuple(process for process in known if process.exitcode is None)
