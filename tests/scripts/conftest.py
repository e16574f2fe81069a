import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from core.configuration.settings import Settings
from scripts.cli import main
from tests.support.command import empty_folder

InProcess = Callable[[Sequence[str], Mapping[str, str]], tuple[object, str]]


@pytest.fixture
def folder() -> Iterator[Path]:
    with empty_folder() as folder:
        yield folder


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> InProcess:
    """Return a function that runs a command line in this process and returns its exit code and stderr."""

    def run(arguments: Sequence[str], env: Mapping[str, str]) -> tuple[object, str]:
        for name in Settings.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["smarttrip", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, capsys.readouterr().err

    return run
