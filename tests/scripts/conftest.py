import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from core.configuration.settings import Settings, load_settings
from scripts.cli import main
from tests.conftest import drop_indices, fresh_database, own_redis
from tests.support.command import empty_folder, environment

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


@pytest.fixture(scope="module")
async def own(services: Settings, slot: int) -> AsyncIterator[Settings]:
    """Settings of an empty database without migrations."""
    settings = load_settings(
        database_url=await fresh_database(services.database_url, f"smarttrip_cli_{slot}"),
        redis_url=await own_redis(services.redis_url, slot),
        elasticsearch_url=services.elasticsearch_url,
        elasticsearch_alias=f"cli_{slot}",
    )
    await drop_indices(settings)
    yield settings
    await drop_indices(settings)


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the environment of a shell whose settings lead to these servers."""
    names = ("database_url", "redis_url", "elasticsearch_url", "elasticsearch_alias")
    return environment(**{name.upper(): getattr(settings, name) for name in names})
