"""Commands on a real installation: with `--json`, standard output is one JSON value."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.configuration.settings import Settings
from scripts.errors import ExitCode
from tests.scripts.commands_under_test import COMMANDS
from tests.scripts.conftest import environment_of
from tests.support.command import smarttrip

RUN_ELSEWHERE = {"anonymise", "bench", "drill", "stack", "top"}
"""First words of commands that need more than one installation: another database, services of their own, an API."""


def lines(folder: Path) -> Iterator[str]:
    """Yield command lines in an order in which each of them succeeds, beginning with an empty database."""
    (folder / "points.json").write_text("{}")
    (folder / "searches.jsonl").write_text("{}\n")
    yield from ("migrate", "seed --occurrences 60", "seed --if-empty", "reindex", "reindex", "verify --repair", "check")
    yield from ("rollback", "adopt", "size", "weights list", f"weights add summer {folder}/points.json")
    yield from ("weights show summer@1", "rollout start --weights summer@1", "rollout status", "rollout promote")
    yield from ("rollout rollback", "user erase nobody@example.org --yes")
    yield f"replay --against platform --to summer@1 --file {folder}/searches.jsonl"
    yield from ("staging create --name copy", "staging drop --name copy --yes")


def test_every_command_with_the_option_is_run(tmp_path: Path) -> None:
    run = list(lines(tmp_path))
    with_option = [words for words, command in COMMANDS if any("--json" in item.opts for item in command.params)]
    needed = [" ".join(words) for words in with_option if words[0] not in RUN_ELSEWHERE]
    assert [words for words in needed if not any(line.startswith(words) for line in run)] == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_standard_output_is_one_json_value(own: Settings, tmp_path: Path) -> None:
    env = environment_of(own)
    for line in lines(tmp_path):
        done = smarttrip(*line.split(), "--json", env=env)
        assert done.returncode == ExitCode.DONE, (line, done.stderr)
        assert json.loads(done.stdout) is not None, line
