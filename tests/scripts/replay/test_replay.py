"""`smarttrip replay` between addresses, weight sets and indexes of a filled installation."""

from itertools import pairwise
from pathlib import Path

import pytest

from core.configuration.settings import Settings
from indexer.rebuild.reindex import reindex
from scripts.commands.errors import describe_error
from scripts.dev_stack.ports import free_port
from scripts.errors import ExitCode
from tests.scripts.replay.conftest import SEARCHES, Replay, read_report
from tests.support.api.old_backend import old_backend


async def test_equal_sides_answer_the_same(
    run: Replay, api: str, installation: str, settings: Settings, file: str
) -> None:
    sides = (api, "platform", installation, settings.search_alias, settings.elasticsearch_alias)
    for against, to in pairwise(sides):
        ran = await run("--file", file, "--against", against, "--to", to, "--json")
        assert ran.exit_code == 0, ran.output
        report = read_report(ran)
        assert (report["searches"], report["same"], report["overlap"], report["differences"]) == (3, 3, 1.0, [])
        assert (report["against"]["side"], report["to"]["side"]) == (against, to)


async def test_changed_weights_differ_in_what_they_touch(run: Replay, api: str, file: str) -> None:
    for against in ("platform", api):
        ran = await run("--file", file, "--against", against, "--to", "summer@1", "--json")
        assert ran.exit_code == ExitCode.DIFFERS
        report = read_report(ran)
        assert (report["same"], report["by_kind"]["scores"], report["by_kind"]["unanswered"]) == (2, 1, 0)
        (difference,) = report["differences"]
        assert difference["preferences"] == {"selected_continents": ["Asia"], "difficulty": 2}
        assert difference["score_change"] == 9
    tolerated = await run("--file", file, "--against", "platform", "--to", "summer@1", "--different", "0.5")
    assert tolerated.exit_code == 0


async def test_table_shows_what_the_json_has(run: Replay, file: str) -> None:
    ran = await run("--file", file, "--against", "platform", "--to", "summer@1")
    assert "3 searches, 33.3% answered differently" in ran.output
    assert [line.split() for line in ran.output.splitlines() if line.startswith("scores")] == [["scores", "1"]]
    assert [line.split()[-1] for line in ran.output.splitlines() if line.endswith(("platform", "summer@1"))] == [
        "platform",
        "summer@1",
    ]
    assert "scores: {'selected_continents': ['Asia'], 'difficulty': 2}" in ran.output


@pytest.mark.slow
async def test_rebuilt_index_answers_as_the_one_before(
    run: Replay, installation: str, settings: Settings, file: str
) -> None:
    rebuilt = await reindex(settings, lambda _progress: None)
    assert rebuilt.previous == installation
    ran = await run("--file", file, "--against", installation, "--to", rebuilt.name)
    assert ran.exit_code == 0, ran.output


async def test_side_that_does_not_answer_has_its_own_code(run: Replay, api: str, file: str) -> None:
    ran = await run("--file", file, "--against", api, "--to", f"http://127.0.0.1:{free_port()}", "--json")
    assert ran.exit_code == ExitCode.UNANSWERED
    assert read_report(ran)["by_kind"]["unanswered"] == 3


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        ("winter@1", ("There is no weight set winter@1.", ExitCode.NO_SUCH_SET)),
        ("others-v1", ("others-v1 is no index of this installation", ExitCode.FAILED)),
        ("{alias}-v77", ("There is no index {alias}-v77.", ExitCode.FAILED)),
    ],
)
async def test_side_that_does_not_exist_is_named(
    run: Replay, settings: Settings, file: str, side: str, expected: tuple[str, ExitCode]
) -> None:
    alias = settings.elasticsearch_alias
    ran = await run("--file", file, "--against", "http://127.0.0.1:1", "--to", side.format(alias=alias))
    assert isinstance(ran.exception, Exception)
    found = describe_error(ran.exception)
    assert found is not None
    assert found.sentence.startswith(expected[0].format(alias=alias))
    assert found.code == expected[1]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "Line 1 of {file} should be JSON."),
        ('{}\n\n{"budget": "much"}', "Line 3 of {file} should be an object of preferences: budget is wrong."),
        ("[]", "Line 1 of {file} should be an object of preferences."),
        ('{"preferences": 3}', "Line 1 of {file} should be an object of preferences."),
        ('{"preferences": null}', "Line 1 of {file} should be an object of preferences."),
        (
            '\ufeff{}\n{"event_type": "click_trip", "trip_id": 3}',
            "Line 2 of {file} should be an object of preferences; it has no field of a search.",
        ),
        ("\n", "There are no searches to make again."),
    ],
)
async def test_wrong_line_is_named(run: Replay, tmp_path: Path, content: str, sentence: str) -> None:
    file = tmp_path / "wrong.jsonl"
    file.write_text(content)
    ran = await run("--file", str(file), "--against", "platform", "--to", "summer@1")
    assert str(ran.exception) == sentence.format(file=file)


@pytest.mark.parametrize("log", [[], ["--log", "5"]], ids=["neither", "both"])
async def test_searches_come_from_one_place(run: Replay, file: str, log: list[str]) -> None:
    ran = await run(*(["--file", file, *log] if log else []), "--against", "platform", "--to", "summer@1")
    assert ran.exit_code == ExitCode.USAGE
    assert "not both" in ran.output


async def test_old_backend_gets_what_was_asked_and_its_rate_limit_is_kept(run: Replay, file: str) -> None:
    async with old_backend(429, 429) as old:
        ran = await run("--file", file, "--against", old.url, "--to", old.url, "--json")
    assert ran.exit_code == 0, ran.output
    assert old.bodies[:2] == [{}, {}]
    assert [body for body in old.bodies[2:] if body] == [SEARCHES[1]] * 2 + [SEARCHES[2]] * 2
