"""Alertmanager of the distribution, with the example of deploy/alertmanager: it shows alerts and sends none."""

import json
import shutil
from pathlib import Path

from scripts.dev_stack.service import Service
from scripts.dev_stack.wait import http_ok

EXAMPLE = Path(__file__).parents[2] / "deploy" / "alertmanager" / "alertmanager.yml"
PROGRAMS = ("prometheus-alertmanager", "alertmanager")
"""Names of the program: Debian's, and that of its makers."""
TARGETS = "targets.json"
"""File of the folder with the address, for Prometheus."""


def _command(folder: Path, port: int, ephemeral: bool) -> list[str]:
    configuration, targets = folder / "alertmanager.yml", folder / TARGETS
    configuration.write_text(_without_webhooks(EXAMPLE.read_text(encoding="utf-8")), encoding="utf-8")
    targets.write_text(json.dumps([{"targets": [f"127.0.0.1:{port}"]}]), encoding="utf-8")
    for path in (configuration, targets):
        path.chmod(0o644)
    return [
        next(filter(None, map(shutil.which, PROGRAMS)), PROGRAMS[0]),
        f"--config.file={configuration}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]


def _without_webhooks(text: str) -> str:
    """Leave out where the example sends alerts to."""
    return "".join(line for line in text.splitlines(keepends=True) if "webhook_configs" not in line)


ALERTMANAGER = Service(
    name="alertmanager",
    variable="ALERTMANAGER_URL",
    url=lambda _folder, port: f"http://127.0.0.1:{port}",
    command=_command,
    is_ready=lambda _folder, port: http_ok(port, "/-/ready"),
    program=PROGRAMS,
)
