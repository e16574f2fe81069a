"""The servers and searches of one catalogue."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from starlette.applications import Starlette

from scripts.benchmark.baselines.servers import RESPONSE_BYTES, constant_server
from scripts.benchmark.comparison.contestants import Contestant, Cpu, generate
from scripts.benchmark.datasets import Catalogue
from scripts.benchmark.load.workload import searches
from scripts.benchmark.processes import Server, api_server, baseline_server, measure_cpu, worker_process

SEED = 7
DISTINCT_SEARCHES = 2000
SAMPLE = 200
"""Requests that tell how large responses are."""


class Bench:
    def __init__(self, catalogue: Catalogue, data: Path) -> None:
        self.catalogue = catalogue
        self._data = data
        self.mix = searches(catalogue.ids, DISTINCT_SEARCHES, SEED)

    def api(self, name: str, **env: str) -> AbstractContextManager[Server]:
        return api_server({**self.catalogue.env, **env}, self._log(name))

    def worker(self) -> AbstractContextManager[Server]:
        return worker_process(self.catalogue.env, self._log("worker"))

    def baseline(self, factory: Callable[[], Starlette], **env: str) -> AbstractContextManager[Server]:
        return baseline_server(factory, {**self.catalogue.env, **env}, self._log(factory.__name__))

    @contextmanager
    def constant(self, service: Contestant) -> Iterator[Contestant]:
        """Start a constant server whose responses are as large as the service's, on average."""
        # The last requests, so that their responses are not cached when the first are measured.
        sample = replace(service.plan, requests=SAMPLE, skip=-SAMPLE, seconds=0, warm_up=False)
        size = generate(sample).body_bytes
        with self.baseline(constant_server, **{RESPONSE_BYTES: str(int(size))}) as server:
            plan = replace(service.plan, url=f"{server.url}/", paths=("",), statuses=(200,))
            yield Contestant(plan, server)

    def services_cpu(self, processes: Mapping[str, Server] = MappingProxyType({})) -> Cpu:
        return measure_cpu(self._data, processes)

    def _log(self, name: str) -> Path:
        return self._data / f"{name}.log"
