import os
import socket
from pathlib import Path

import pytest

from scripts.dev_stack.elasticsearch import jars
from scripts.dev_stack.paths import build_once, open_folder
from scripts.dev_stack.ports import MAX_RESERVED, PORTS, free_port
from scripts.errors import CliError
from scripts.ports import is_free


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's services run as another user")
def test_new_folder_of_root_is_opened_for_services(folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700
    open_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o711


def test_ports_are_below_the_ephemeral_range() -> None:
    assert {free_port() in PORTS for _ in range(100)} == {True}
    assert PORTS.stop <= 32768


def test_port_with_a_listener_is_not_free() -> None:
    port = free_port()
    assert is_free(port)
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free(port)
        assert free_port(preferred=port) != port


def test_free_port_is_reserved_for_a_server() -> None:
    port = free_port()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))
    with socket.create_server(("127.0.0.1", port)) as server, socket.create_connection(server.getsockname()):
        pass
    assert is_free(port)


def test_reservations_are_bounded() -> None:
    descriptors = Path("/proc/self/fd")
    for _ in range(MAX_RESERVED):
        free_port()
    before = len(list(descriptors.iterdir()))
    free_port()
    assert len(list(descriptors.iterdir())) == before


def test_failed_build_leaves_nothing_behind(folder: Path) -> None:
    target = folder / "built"

    def broken(scratch: Path) -> None:
        (scratch / "half").touch()
        raise CliError("no network")

    with pytest.raises(CliError):
        build_once(target, broken)
    assert not target.exists()

    build_once(target, lambda scratch: (scratch / "whole").touch())
    assert [path.name for path in target.iterdir()] == ["whole"]


def test_completed_build_is_not_repeated(folder: Path) -> None:
    builds: list[Path] = []
    for _ in range(2):
        build_once(folder / "built", builds.append)
    assert len(builds) == 1


@pytest.mark.slow
def test_jar_with_wrong_checksum_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("M2_REPO", str(tmp_path / "repository"))
    foreign = tmp_path / "sums"
    foreign.write_text("".join(f"{'0' * 64}  {line.split()[1]}\n" for line in jars.SUMS.read_text().splitlines()))
    monkeypatch.setattr(jars, "SUMS", foreign)
    with pytest.raises(CliError, match=r"ecj.* does not have the checksum in sums"):
        jars.fetch(jars.COMPILER)
