"""Whether the answers are right, before anybody looks at how fast they are."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

import orjson

from app.backends.http_client import Answer, Connection
from scripts.benchmark.compare import Contender
from scripts.benchmark.load_generator import calls, in_words
from scripts.benchmark.load_plan import Plan
from scripts.errors import CommandError

SAMPLE = 5
"""Searches of the mix; at 100,000 departures each takes the database-only way many seconds."""


def compare(service: Contender, database: Contender) -> None:
    """Raises CommandError where the service's primary results are not those of all candidates scored in Python."""
    answers = zip(_sample(service.plan), _sample(database.plan), strict=True)
    for (search,), (one, other) in zip(service.plan.bodies, answers, strict=False):
        found, right = list(_scores(one)), list(_scores(other))
        if found != right:
            raise CommandError(f"To {search} the service answers {found}, as (id, score); right is {right}.")


def _sample(plan: Plan) -> list[Answer]:
    return asyncio.run(_ask(replace(plan, bodies=plan.bodies[:SAMPLE])))


async def _ask(plan: Plan) -> list[Answer]:
    requests = list(chain.from_iterable(calls(plan)))
    connection = await Connection.open(requests[0].host, requests[0].port)
    try:
        return [await connection.send(request.raw) for request in requests]
    finally:
        connection.end()


def _scores(answer: Answer) -> Iterator[tuple[int, int]]:
    """By id, of the primary results in their order; the database-only server has no others."""
    if answer.status != 200:
        raise CommandError(f"A search of the sample failed: {in_words(answer)}.")
    trips: list[dict[str, Any]] = orjson.loads(answer.body)["data"]
    return ((trip["id"], trip["match_score"]) for trip in trips if not trip.get("is_relaxed"))
