"""Prometheus of the distribution, with the configuration and the rules of deploy/prometheus."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from scripts.dev_stack.alertmanager import ALERTMANAGER, TARGETS
from scripts.dev_stack.service import Service
from scripts.dev_stack.wait import http_ok
from scripts.early_settings import early_settings

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "prometheus"
WORKER_PORT = 5001
"""Port of the worker where WORKER_PORT is not set."""


def worker_port() -> int:
    return early_settings().worker_port or WORKER_PORT


def scraped_addresses() -> dict[str, str]:
    """Return the addresses of the processes on a developer's machine, by their names in the configuration."""
    return {"api": f"127.0.0.1:{early_settings().port}", "worker": f"127.0.0.1:{worker_port()}"}


def configure(folder: Path, processes: Mapping[str, str], alertmanagers: Path) -> Path:
    """Copy the configuration into `folder`, with the addresses of these processes; return the path of the file.

    `alertmanagers` is a file with the addresses of Alertmanagers, as Prometheus's file discovery reads it.
    """
    shutil.rmtree(folder / "configuration", ignore_errors=True)
    copied = Path(shutil.copytree(CONFIGURATION, folder / "configuration"))
    for path in (copied, *copied.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    file = copied / "prometheus.yml"
    text = file.read_text(encoding="utf-8")
    edits = {"api:5000": processes["api"], "worker:5001": processes["worker"]}
    edits['static_configs: [{targets: ["alertmanager:9093"]}]'] = f'file_sd_configs: [{{files: ["{alertmanagers}"]}}]'
    for old, new in edits.items():
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")
    return file


def server_command(configuration: Path, folder: Path, port: int) -> list[str]:
    return [
        shutil.which("prometheus") or "prometheus",
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage",
        "--log.level=warn",
    ]


def _command(folder: Path, port: int, ephemeral: bool) -> list[str]:
    alertmanagers = ALERTMANAGER.folder(folder.parent) / TARGETS
    return server_command(configure(folder, scraped_addresses(), alertmanagers), folder, port)


PROMETHEUS = Service(
    name="prometheus",
    variable="PROMETHEUS_URL",
    url=lambda _folder, port: f"http://127.0.0.1:{port}",
    command=_command,
    is_ready=lambda _folder, port: http_ok(port, "/-/ready"),
    program=("prometheus",),
)
