"""A replay reads and writes preferences only, whatever else the request log and its rows contain."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import String, insert
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import Result

from schemas.api.preferences import Preferences
from schemas.tables import RecommendationRequest
from scripts.errors import ExitCode
from tests.scripts.replay.conftest import Replay, read_report

PERSON = "dana@example.org"
USER = 471_147_114
SEARCH = {"selected_continents": ["Asia"]}
COLUMNS = RecommendationRequest.__table__.columns
TEXTS = [
    column.name for column in COLUMNS if isinstance(column.type, String) and (column.type.length or 99) > len(PERSON)
]


def row(preferences: dict[str, Any]) -> dict[str, Any]:
    """Return a row of the log that has the person in every column that can hold one."""
    return {
        "request_id": uuid4(),
        "user_id": USER,
        "created_at": datetime(2026, 11, 24),  # noqa: DTZ001 -- as stored
        "response_time_ms": 3,
        "total_candidates": 1,
        "primary_count": 1,
        "final_count": 1,
        "result_trip_ids": [1],
        "result_scores": [50],
        "preferences": {**preferences, "email": PERSON, "user_id": USER},
        **dict.fromkeys(TEXTS, PERSON),
    }


def searches() -> Iterator[dict[str, Any]]:
    """Yield a search, and one with the person in each preference."""
    yield SEARCH
    for name in Preferences.model_fields:
        yield {name: PERSON}
        yield {name: [PERSON]}


SILENT = ("--against", "http://127.0.0.1:1", "--to", "http://127.0.0.1:1")
"""Nothing answers there, so that the report lists every search."""


async def test_replay_of_the_log_shows_and_writes_no_person(run: Replay, database: AsyncEngine, tmp_path: Path) -> None:
    assert "session_id" in TEXTS
    async with database.begin() as connection:
        await connection.execute(insert(RecommendationRequest), [row(search) for search in searches()])
    saved = tmp_path / "saved.jsonl"
    ran = await run("--log", "1000", "--save", str(saved), *SILENT, "--json")
    assert_no_person(ran, saved)
    assert [each["preferences"] for each in read_report(ran)["differences"]] == [SEARCH]


async def test_rows_of_the_log_in_a_file_lose_the_person(run: Replay, tmp_path: Path) -> None:
    file, saved = tmp_path / "rows.jsonl", tmp_path / "saved.jsonl"
    file.write_text(json.dumps(row(SEARCH), default=str))
    assert_no_person(await run("--file", str(file), "--save", str(saved), *SILENT), saved)


def assert_no_person(ran: Result, saved: Path) -> None:
    """Check that the one search that could be read was replayed and saved, and nothing else."""
    assert ran.exit_code == ExitCode.UNANSWERED, ran.output
    assert [json.loads(line) for line in saved.read_text().splitlines()] == [SEARCH]
    assert "Asia" in ran.output
    assert PERSON not in ran.output
    assert str(USER) not in ran.output


@pytest.mark.parametrize("name", Preferences.model_fields)
async def test_refused_line_is_named_without_its_value(run: Replay, tmp_path: Path, name: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"preferences": {name: PERSON}}))
    ran = await run("--file", str(file), *SILENT)
    assert f"{name} is wrong" in str(ran.exception)
    assert PERSON not in str(ran.exception) + ran.output
