"""What a drill takes for a wrong response, and which requests it waits for."""

import asyncio
from typing import Any

import orjson
import pytest

from scripts.drill.load_generator import Outcome, Request
from scripts.drill.prices import Prices
from scripts.drill.traffic import PREFERENCES, Traffic

RESOURCE = b"reference data"
RANKING = [{"id": 1, "effectivePrice": "17.00"}, {"id": 2, "effectivePrice": "18.00"}]


class Load:
    """Responds at once, or when `answers` is set."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.answers = asyncio.Event()
        self.answers.set()

    async def send(self, request: Request, due: float) -> Outcome:
        await self.answers.wait()
        return Outcome(request.kind, 200, due, 0.1, body=self._body)


def traffic(load: Any) -> Traffic:
    prices = Prices()
    for trip in RANKING:
        prices.note_first(int(str(trip["id"])), str(trip["effectivePrice"]))
    return Traffic(load, "", 30, [(1, 2)] * len(PREFERENCES), RESOURCE, prices)


def ranking(*trips: object) -> bytes:
    return orjson.dumps({"data": trips})


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (ranking(*RANKING), False),
        (ranking(*RANKING[::-1]), True),
        (ranking(RANKING[0]), True),
        (ranking(RANKING[0], {"id": 2, "effectivePrice": "17.00"}), True),
    ],
    ids=["as before", "other order", "fewer", "price of another"],
)
async def test_search_with_another_ranking_or_price_is_wrong(body: bytes, wrong: bool) -> None:
    found = traffic(Load(body))
    await found.search(0)
    assert [observation.wrong for observation in found.observations] == [wrong]


@pytest.mark.parametrize("body", [RESOURCE, b"other data"])
async def test_other_reference_data_is_wrong(body: bytes) -> None:
    found = traffic(Load(body))
    await found.get_resource(0)
    assert [observation.wrong for observation in found.observations] == [body != RESOURCE]


async def test_settling_waits_for_requests_that_are_due() -> None:
    load = Load(ranking(*RANKING))
    load.answers.clear()
    found = traffic(load)
    sending = asyncio.create_task(found.search(0))
    await asyncio.sleep(0)
    settling = asyncio.create_task(found.settle())
    await asyncio.wait([settling], timeout=0.2)
    assert not settling.done()
    load.answers.set()
    await settling
    assert sending.done()
    assert len(found.observations) == 1
