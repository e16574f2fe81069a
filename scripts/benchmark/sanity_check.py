"""Whether the answers are right, before anybody looks at how fast they are."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

import orjson

from app.backends.http_client import HttpConnection, HttpResponse
from scripts.benchmark.compare import Contestant
from scripts.benchmark.load_generator import calls, in_words
from scripts.benchmark.load_plan import LoadPlan
from scripts.errors import CliError

SAMPLE = 5
"""Searches of the mix; at 100,000 departures each takes the database-only way many seconds."""


def compare(service: Contestant, database: Contestant) -> None:
    """Raises CliError where the service's primary results are not those of all candidates scored in Python."""
    answers = zip(_sample(service.plan), _sample(database.plan), strict=True)
    for (search,), (one, other) in zip(service.plan.bodies, answers, strict=False):
        found, right = list(_scores(one)), list(_scores(other))
        if found != right:
            raise CliError(f"To {search} the service answers {found}, as (id, score); right is {right}.")


def _sample(plan: LoadPlan) -> list[HttpResponse]:
    return asyncio.run(_ask(replace(plan, bodies=plan.bodies[:SAMPLE])))


async def _ask(plan: LoadPlan) -> list[HttpResponse]:
    requests = list(chain.from_iterable(calls(plan)))
    connection = await HttpConnection.open(requests[0].host, requests[0].port)
    try:
        return [await connection.send(request.raw) for request in requests]
    finally:
        connection.end()


def _scores(answer: HttpResponse) -> Iterator[tuple[int, int]]:
    """By id, of the primary results in their order; the database-only server has no others."""
    if answer.status != 200:
        raise CliError(f"A search of the sample failed: {in_words(answer)}.")
    trips: list[dict[str, Any]] = orjson.loads(answer.body)["data"]
    return ((trip["id"], trip["match_score"]) for trip in trips if not trip.get("is_relaxed"))
