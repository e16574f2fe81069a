"""Logs of commands go to standard error, apart from results."""

import inspect
from typing import Any

import pytest

from scripts.commands import bench, processes, settings
from tests.docs.documents import ROOT
from tests.scripts.commands_under_test import COMMANDS, label

ON_SERVICES_OF_THEIR_OWN = [item for item in COMMANDS if item[0][0] in {"bench", "drill"}]


def test_settings_are_loaded_only_where_logs_are_configured_too() -> None:
    loading = {path for path in ROOT.glob("scripts/commands/*.py") if " load_settings(" in path.read_text()}
    assert {path.stem for path in loading} == {module.__name__.split(".")[-1] for module in (processes, settings)}
    assert all(" configure_logs(" in path.read_text() for path in loading)


@pytest.mark.parametrize(("words", "command"), ON_SERVICES_OF_THEIR_OWN, ids=label)
def test_command_that_runs_parts_of_the_service_keeps_their_logs_apart(words: list[str], command: Any) -> None:
    source = inspect.getsource(command.callback)
    assert "keep_logs_apart()" in source or f"{bench._report_steps.__name__}(json)" in source


def test_report_of_steps_keeps_logs_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []
    monkeypatch.setattr(bench, "keep_logs_apart", lambda: kept.append(True))
    bench._report_steps(json=True)
    assert kept == [True]
