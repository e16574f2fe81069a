"""Start, find and stop the services of one data folder: the three that the system needs, and those that observe it."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from signal import Signals
from typing import NamedTuple

from scripts.dev_stack import processes
from scripts.dev_stack.alertmanager import ALERTMANAGER
from scripts.dev_stack.elasticsearch.service import ELASTICSEARCH
from scripts.dev_stack.file_lock import locked
from scripts.dev_stack.paths import cache_root, open_folder, own_folder, service_user
from scripts.dev_stack.ports import free_port
from scripts.dev_stack.postgres import POSTGRES
from scripts.dev_stack.prometheus import PROMETHEUS
from scripts.dev_stack.service import Service
from scripts.dev_stack.valkey import VALKEY
from scripts.dev_stack.wait import until
from scripts.errors import CliError, ExitCode

SERVICES = (POSTGRES, VALKEY, ELASTICSEARCH)
OBSERVERS = (ALERTMANAGER, PROMETHEUS)
"""Started on request, where they are installed."""
SECONDS_TO_START = 60
RETRY_PAUSES = (0.5, 2, 0)
"""Seconds before each retry: a port may be taken meanwhile, or the children of a killed server still run."""


@dataclass
class ServiceRecord:
    """Process and port of a service; stored after it stops, too, so that it comes back on the same port."""

    pid: int
    port: int


class ServiceState(NamedTuple):
    service: Service
    pid: int | None
    url: str | None
    """With its password: to show, `hide_password`."""
    responds: bool


def default_data() -> Path:
    return cache_root() / "stack"


def up(
    data: Path,
    services: Sequence[Service] = SERVICES,
    *,
    late: Sequence[Service] = (),
    ephemeral: bool = False,
    die_with_parent: bool = False,
) -> None:
    """Start the services that do not run, and wait until all but the `late` ones respond.

    `ephemeral` trades durability for speed; with `die_with_parent` they end when we do, even if we are killed.
    Raises CliError if a service does not start.
    """
    open_folder(data)
    with locked(data / "lock"):
        started: dict[int, Signals] = {}
        try:
            for pause in RETRY_PAUSES:
                _start_missing(data, services, started, ephemeral=ephemeral, die_with_parent=die_with_parent)
                ended = [service for service in services if service not in late and not _stays_up(service, data)]
                if not ended:
                    return
                time.sleep(pause)
            raise _ended(ended[0], data)
        except BaseException:
            processes.stop(started)
            raise


def down(data: Path) -> list[str]:
    """Stop the services that run, and return their names."""
    if not data.exists():
        return []
    with locked(data / "lock"):
        records = _read(data)
        running = [service for service in (*SERVICES, *OBSERVERS) if _runs(service, records, data)]
        processes.stop({records[service.name].pid: service.stop_signal for service in running})
    return [service.name for service in running]


def status(data: Path) -> list[ServiceState]:
    """Return the state of the services, and of the observers that run."""
    records = _read(data)
    observers = (service for service in OBSERVERS if _runs(service, records, data))
    return [_state(service, records, data) for service in (*SERVICES, *observers)]


def environment(data: Path, late: Sequence[Service] = ()) -> dict[str, str]:
    """Return the settings that lead to the services. Raises CliError unless all but the `late` ones respond."""
    states = [state for state in status(data) if state.service in SERVICES]
    if not all(state.responds or state.service in late for state in states):
        raise CliError(
            f"The stack under {data} is not running; start it with: smarttrip stack up.", ExitCode.NOT_RUNNING
        )
    for state in states:
        if state.url is None:
            raise _ended(state.service, data)
    return {state.service.variable: str(state.url) for state in states}


def _ended(service: Service, data: Path) -> CliError:
    return CliError(f"{service.name} does not stay up; its log is {service.log(data)}.")


def _state(service: Service, records: dict[str, ServiceRecord], data: Path) -> ServiceState:
    if not _runs(service, records, data):
        return ServiceState(service, None, None, responds=False)
    record, folder = records[service.name], service.folder(data)
    return ServiceState(service, record.pid, service.url(folder, record.port), service.is_ready(folder, record.port))


def _runs(service: Service, records: dict[str, ServiceRecord], data: Path) -> bool:
    record = records.get(service.name)
    return record is not None and service.runs_as(record.pid, data)


def _start_missing(
    data: Path,
    services: Sequence[Service],
    started: dict[int, Signals],
    *,
    ephemeral: bool,
    die_with_parent: bool,
) -> None:
    records = _read(data)
    for service in services:
        if not _runs(service, records, data):
            port = free_port(records[service.name].port if service.name in records else None)
            process = processes.start(
                service.command(own_folder(service.folder(data)), port, ephemeral),
                service.log(data),
                user=service_user(),
                die_with_parent=service.stop_signal if die_with_parent else None,
            )
            started[process.pid] = service.stop_signal
            records[service.name] = ServiceRecord(process.pid, port)
            _write(data, records)


def _stays_up(service: Service, data: Path) -> bool:
    """Wait until the service responds; return False if it ends first. Raises CliError on timeout."""
    record, folder = _read(data)[service.name], service.folder(data)
    if not until(
        lambda: service.is_ready(folder, record.port) or not service.runs_as(record.pid, data), SECONDS_TO_START
    ):
        raise CliError(f"{service.name} does not respond within {SECONDS_TO_START} s: its log is {service.log(data)}.")
    return service.runs_as(record.pid, data)


def _read(data: Path) -> dict[str, ServiceRecord]:
    path = _file(data)
    return (
        {name: ServiceRecord(**record) for name, record in json.loads(path.read_text()).items()}
        if path.exists()
        else {}
    )


def _write(data: Path, records: dict[str, ServiceRecord]) -> None:
    scratch = _file(data).with_suffix(".new")
    scratch.write_text(json.dumps({name: asdict(record) for name, record in records.items()}))
    scratch.rename(_file(data))


def _file(data: Path) -> Path:
    return data / "stack.json"
