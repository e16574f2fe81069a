"""Elasticsearch, run from the home in the cache; open to every local account, as its jars are without security."""

from pathlib import Path

from scripts.dev_stack.elasticsearch.command import class_cache, node_command
from scripts.dev_stack.elasticsearch.install import home
from scripts.dev_stack.service import Service
from scripts.dev_stack.wait import http_ok


def _url(folder: Path, port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _command(folder: Path, port: int, ephemeral: bool) -> list[str]:
    recorded = class_cache(home())
    options = [f"-XX:AOTCache={recorded}"] if recorded.exists() else []
    if ephemeral:
        # The second compiler pays off only after minutes of load.
        options.append("-XX:TieredStopAtLevel=1")
    return node_command(home(), folder, port, *options)


def _is_ready(folder: Path, port: int) -> bool:
    return http_ok(port, "/_cluster/health?wait_for_status=yellow&timeout=1s")


ELASTICSEARCH = Service(
    name="elasticsearch", variable="ELASTICSEARCH_URL", url=_url, command=_command, is_ready=_is_ready
)
