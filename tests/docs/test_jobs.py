"""docs/reference/jobs.md lists every job of the worker with its timeout, and nothing else."""

from typing import Any, cast

from core.configuration.settings import load_settings
from indexer.jobs.schedule import scheduled_jobs
from tests.docs.documents import table

NOTHING = cast(Any, None)
"""Jobs use engine and supervisor only when they run."""

UNITS = {"min": 60.0, "h": 3600.0}


def seconds(text: str) -> float:
    number, unit = text.split()
    return float(number) * UNITS[unit]


def test_table_lists_exactly_the_jobs() -> None:
    settings = load_settings(database_url="postgresql://x", redis_url="redis://x", elasticsearch_url="http://x:9200")
    jobs = {job.name: job.timeout for job in scheduled_jobs(settings, NOTHING, NOTHING)}
    listed = {name.strip("`"): seconds(limit) for name, _, limit, _ in table("docs/reference/jobs.md", "## Table")}
    assert listed == jobs
