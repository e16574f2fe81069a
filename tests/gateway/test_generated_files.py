"""The gateway's configuration says of paths, bodies and errors what the API's code says now."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from app.http.conditional import PUBLIC_ONE_HOUR
from app.http.requests import MAX_BODY
from app.routes import ENDPOINTS, endpoints_of
from app.server.framing import MAX_HEAD
from core.configuration.roles import ROLES
from core.configuration.settings import Settings
from scripts.gateway.generated_files import FOLDER, generated_files
from scripts.gateway.roles import DEFAULT_ROLE
from tests.support.gateway import check, configured, needs_nginx, of_all_roles

FILES = generated_files()


def nginx_map(variable: str, value: str) -> str:
    """Return what a map of the generated file makes of a value, by nginx's rules."""
    block = re.search(rf"map \S+ \${variable} {{\n(.*?)\n}}", FILES["roles.conf"], re.DOTALL)
    assert block
    entries = dict(line.strip().rstrip(";").rsplit(" ", 1) for line in block[1].splitlines())
    for key, result in entries.items():
        if key != "default" and re.search(key.strip('"').removeprefix("~").replace(r"\z", r"\Z"), value):
            return result
    return entries["default"]


@pytest.mark.parametrize("name", FILES)
def test_generated_file_is_up_to_date(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == FILES[name], "run `make generate`"


@pytest.mark.parametrize("role", ROLES)
def test_paths_of_a_role_are_routed_to_it(role: str) -> None:
    everywhere = {endpoint.path for endpoint in endpoints_of([])}
    for endpoint in endpoints_of([role]):  # type: ignore[list-item]
        expected = DEFAULT_ROLE if endpoint.path in everywhere else role
        assert nginx_map("role", endpoint.path.replace("{id:int}", "17")) == expected, endpoint.path


@pytest.mark.parametrize("variable", ["role", "cache_zone", "cached_query"])
def test_paths_are_compared_with_their_case(variable: str) -> None:
    """nginx ignores the case of a text in a map, but not of a regular expression."""
    for endpoint in ENDPOINTS:
        path = endpoint.path.replace("{id:int}", "17")
        assert nginx_map(variable, path.upper()) == nginx_map(variable, f"{path}\n") == nginx_map(variable, "/")
    block = FILES["roles.conf"].partition(f"${variable} {{\n")[2].partition("}")[0]
    assert all(line.startswith(('    "~^', "    default ")) for line in block.splitlines())


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_public_responses_are_cached(endpoint: object) -> None:
    cache = getattr(endpoint, "cache", None)
    is_public = cache is not None and cache.cache_control == PUBLIC_ONE_HOUR
    path = getattr(endpoint, "path", "").replace("{id:int}", "17")
    assert nginx_map("cache_zone", path) == ("public" if is_public else "off")


def test_bounds_are_those_of_the_api() -> None:
    text = (FOLDER / "nginx.conf").read_text(encoding="utf-8")
    assert f"client_max_body_size {MAX_BODY // 1024}k;" in text
    assert f"large_client_header_buffers 1 {MAX_HEAD // 1024}k;" in text


def test_gateway_waits_longer_than_the_api() -> None:
    text = (FOLDER / "nginx.conf").read_text(encoding="utf-8")
    seconds = [int(found) for found in re.findall(r"proxy_read_timeout (\d+)s;", text)]
    needed = [Settings.model_fields[name].default for name in ("request_seconds", "admin_seconds")]
    assert all(given > taken for given, taken in zip(sorted(seconds), needed, strict=True))
    (until_shutdown,) = re.findall(r"worker_shutdown_timeout (\d+)s;", text)
    assert int(until_shutdown) > max(seconds)


@pytest.mark.parametrize("folder", ["gateway", "compose"])
def test_every_process_is_a_backup_too(folder: str) -> None:
    """Without one, nginx refuses requests while it takes all processes of a role for failed."""
    text = (FOLDER.parent / folder / "upstreams.conf").read_text(encoding="utf-8")
    for block in text.split("upstream ")[1:]:
        servers = re.findall(r"server (\S+) (?:resolve )?(backup max_fails=0|max_fails)", block)
        backups = [address for address, kind in servers if kind.startswith("backup")]
        assert backups == [address for address, kind in servers if kind == "max_fails"] != []


@needs_nginx
def test_nginx_accepts_the_configuration() -> None:
    # Not `tmp_path`, which the services' user may not enter.
    with TemporaryDirectory() as folder:
        check(configured(Path(folder), of_all_roles(5000, 5001)))
