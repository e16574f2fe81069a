"""Starting, finding and ending the three services of one data folder."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from signal import Signals
from typing import NamedTuple

from scripts.dev_stack import processes
from scripts.dev_stack.elasticsearch.service import ELASTICSEARCH
from scripts.dev_stack.file_lock import locked
from scripts.dev_stack.paths import cache_root, open_folder, own_folder, service_user
from scripts.dev_stack.ports import free_port
from scripts.dev_stack.postgres import POSTGRES
from scripts.dev_stack.service import Service
from scripts.dev_stack.valkey import VALKEY
from scripts.dev_stack.wait import until
from scripts.errors import CliError, ExitCode

SERVICES = (POSTGRES, VALKEY, ELASTICSEARCH)
SECONDS_TO_ANSWER = 60
PAUSES = (0.5, 2, 0)
"""Before another try: a port may have been taken meanwhile, or a killed server's children not have noticed yet."""


@dataclass
class ServiceRecord:
    """Where a service was last: kept when it ends, so that it comes back on the same port."""

    pid: int
    port: int


class State(NamedTuple):
    service: Service
    pid: int | None
    url: str | None
    answers: bool


def default_data() -> Path:
    return cache_root() / "stack"


def up(data: Path, *, ephemeral: bool = False, die_with_parent: bool = False) -> None:
    """Start what does not run and return when all answer. `die_with_parent`: they end when we do,
    even if we are killed."""
    open_folder(data)
    with locked(data / "lock"):
        started: dict[int, Signals] = {}
        try:
            for pause in PAUSES:
                _start_missing(data, started, ephemeral=ephemeral, die_with_parent=die_with_parent)
                ended = [service for service in SERVICES if not _answers_in_time(service, data)]
                if not ended:
                    return
                time.sleep(pause)
            raise CliError(f"{ended[0].name} does not stay up; its last words are in {ended[0].log(data)}.")
        except BaseException:
            processes.stop(started)
            raise


def down(data: Path) -> None:
    """End what runs; nothing to end is fine."""
    if not data.exists():
        return
    with locked(data / "lock"):
        places = _read(data)
        processes.stop(
            {places[service.name].pid: service.stop_signal for service in SERVICES if _runs(service, places, data)}
        )


def status(data: Path) -> list[State]:
    places = _read(data)
    return [_state(service, places, data) for service in SERVICES]


def environment(data: Path) -> dict[str, str]:
    """The settings that lead to the services. Raises CommandError unless all of them answer."""
    states = status(data)
    if not all(state.answers for state in states):
        raise CliError(
            f"The stack under {data} is not running; start it with: smarttrip stack up.", ExitCode.NOT_RUNNING
        )
    return {state.service.variable: str(state.url) for state in states}


def _state(service: Service, places: dict[str, ServiceRecord], data: Path) -> State:
    if not _runs(service, places, data):
        return State(service, None, None, answers=False)
    place = places[service.name]
    return State(service, place.pid, service.url(place.port), service.answers(place.port))


def _runs(service: Service, places: dict[str, ServiceRecord], data: Path) -> bool:
    place = places.get(service.name)
    return place is not None and service.runs_as(place.pid, data)


def _start_missing(data: Path, started: dict[int, Signals], *, ephemeral: bool, die_with_parent: bool) -> None:
    places = _read(data)
    for service in SERVICES:
        if not _runs(service, places, data):
            port = free_port(places[service.name].port if service.name in places else None)
            process = processes.start(
                service.command(own_folder(service.folder(data)), port, ephemeral),
                service.log(data),
                user=service_user(),
                die_with_parent=service.stop_signal if die_with_parent else None,
            )
            started[process.pid] = service.stop_signal
            places[service.name] = ServiceRecord(process.pid, port)
            _write(data, places)


def _answers_in_time(service: Service, data: Path) -> bool:
    """False: it has ended. Raises CommandError where it neither ends nor answers."""
    place = _read(data)[service.name]
    if not until(lambda: service.answers(place.port) or not service.runs_as(place.pid, data), SECONDS_TO_ANSWER):
        raise CliError(f"{service.name} does not answer within {SECONDS_TO_ANSWER} s: see {service.log(data)}.")
    return service.runs_as(place.pid, data)


def _read(data: Path) -> dict[str, ServiceRecord]:
    path = _file(data)
    return (
        {name: ServiceRecord(**place) for name, place in json.loads(path.read_text()).items()} if path.exists() else {}
    )


def _write(data: Path, places: dict[str, ServiceRecord]) -> None:
    scratch = _file(data).with_suffix(".new")
    scratch.write_text(json.dumps({name: asdict(place) for name, place in places.items()}))
    scratch.rename(_file(data))


def _file(data: Path) -> Path:
    return data / "stack.json"
