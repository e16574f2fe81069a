"""Check that responses are correct before measuring how fast they are."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

import orjson

from app.backends.http_client import HttpConnection, HttpResponse
from scripts.benchmark.comparison.contestants import Contestant
from scripts.benchmark.load.generator import build_requests, describe
from scripts.benchmark.load.plan import LoadPlan
from scripts.errors import CliError

SAMPLE = 5
"""Number of searches to check; at 100,000 departures each takes the database-only server many seconds."""


def compare(service: Contestant, database: Contestant) -> None:
    """Compare results. Raises: CliError, if the primary ones differ from scoring all candidates in Python."""
    responses = zip(_sample(service.plan), _sample(database.plan), strict=True)
    for (search,), (actual, reference) in zip(service.plan.bodies, responses, strict=False):
        found, expected = list(_scores(actual)), list(_scores(reference))
        if found != expected:
            raise CliError(f"For {search} the service returns {found}, as (id, score); expected is {expected}.")


def _sample(plan: LoadPlan) -> list[HttpResponse]:
    return asyncio.run(_send(replace(plan, bodies=plan.bodies[:SAMPLE])))


async def _send(plan: LoadPlan) -> list[HttpResponse]:
    requests = list(chain.from_iterable(build_requests(plan)))
    connection = await HttpConnection.open(requests[0].host, requests[0].port)
    try:
        return [await connection.send(request.raw) for request in requests]
    finally:
        connection.abort()


def _scores(response: HttpResponse) -> Iterator[tuple[int, int]]:
    """Yield id and score of the primary results in order; the database-only server has no relaxed ones."""
    if response.status != 200:
        raise CliError(f"A search of the sample failed: {describe(response)}.")
    trips: list[dict[str, Any]] = orjson.loads(response.body)["data"]
    return ((trip["id"], trip["match_score"]) for trip in trips if not trip.get("is_relaxed"))
