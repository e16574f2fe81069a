import json
from pathlib import Path

import pytest

from scripts import check


@pytest.mark.parametrize(("count", "repeated"), [(0, False), (1, True), (10, True), (11, False)])
def test_few_failed_tests_are_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, repeated: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    check.LAST_FAILED.parent.mkdir(parents=True)
    check.LAST_FAILED.write_text(json.dumps({f"tests/test_{number}.py::test_it": True for number in range(count)}))
    assert check._are_few_failed() is repeated


def test_nothing_is_repeated_where_a_file_could_not_be_collected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    check.LAST_FAILED.parent.mkdir(parents=True)
    check.LAST_FAILED.write_text(json.dumps({"tests/test_it.py": True}))
    assert not check._are_few_failed()


def test_nothing_is_repeated_without_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not check._are_few_failed()
