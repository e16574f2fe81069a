from pathlib import Path

import pytest

from scripts.dev_stack.temporary_data import MEMORY, create_data_folder, has_room


def test_tmpdir_chooses_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert create_data_folder("data-").parent == tmp_path


def test_folder_is_in_memory_where_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    folder = create_data_folder("smarttrip-room-")
    folder.rmdir()
    assert (folder.parent == MEMORY) is has_room(MEMORY)


@pytest.mark.parametrize(("folder", "room"), [("/dev/shm", 2**60), ("/nowhere", 0), ("/proc", 0)])
def test_folder_without_room_is_recognised(folder: str, room: int) -> None:
    assert not has_room(Path(folder), room)


def test_folder_with_room_is_recognised(tmp_path: Path) -> None:
    assert has_room(tmp_path, 0)
