"""How old a shown price is."""

import time
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from core.configuration.settings import Settings
from scripts.drill.prices import Prices
from tests.conftest import plain
from tests.support.factories import CatalogueFactory


class Connection:
    """Commits at once, or breaks."""

    def __init__(self, *, breaks: bool = False) -> None:
        self._breaks = breaks
        self.prices: list[Decimal] = []

    async def execute(self, statement: str, price: Decimal, departure: int) -> None:
        if self._breaks:
            raise asyncpg.ConnectionDoesNotExistError
        self.prices.append(price)


async def change(prices: Prices, connection: Any, departure: int) -> None:
    await prices.change(connection, departure)


async def test_last_price_is_not_stale() -> None:
    prices, connection = Prices(), Connection()
    await change(prices, connection, 1)
    await change(prices, connection, 1)
    assert prices.stale_seconds(1, str(connection.prices[1]), time.monotonic()) == 0
    assert prices.stale_seconds(2, "17.00", time.monotonic()) == 0


async def test_earlier_price_is_as_stale_as_the_next_one_is_old() -> None:
    prices, connection = Prices(), Connection()
    for _ in range(3):
        await change(prices, connection, 1)
    second = prices._changes[1][1].committed
    assert second is not None
    assert prices.stale_seconds(1, f"{connection.prices[0]}.00", second + 7) == pytest.approx(7)
    assert prices.stale_seconds(1, f"{connection.prices[0]}.00", second - 1) == 0


async def test_price_from_before_the_drill_is_as_stale_as_the_first_change_is_old() -> None:
    prices = Prices()
    await change(prices, Connection(), 1)
    first = prices._changes[1][0].committed
    assert first is not None
    assert prices.stale_seconds(1, "17.00", first + 3) == pytest.approx(3)


async def test_change_whose_commit_is_unknown_need_not_be_shown_and_may_be() -> None:
    prices, connection = Prices(), Connection()
    await change(prices, connection, 1)
    with pytest.raises(asyncpg.PostgresError):
        await change(prices, Connection(breaks=True), 1)
    later = time.monotonic() + 9
    assert prices.stale_seconds(1, str(connection.prices[0]), later) == 0
    assert prices.stale_seconds(1, str(connection.prices[0] + 1), later) == 0


async def test_price_that_a_departure_never_had_is_unknown() -> None:
    prices, connection = Prices(), Connection()
    prices.note_first(1, "17.50")
    await change(prices, connection, 1)
    prices.note_first(1, "18.00")
    assert prices.is_known(1, "17.50")
    assert prices.is_known(1, f"{connection.prices[0]}.00")
    for departure, shown in ((1, "18.00"), (1, str(connection.prices[0] + 1)), (2, "17.50")):
        assert not prices.is_known(departure, shown)


async def test_confirmed_changes_that_are_not_stored_are_lost(settings: Settings, catalogue: CatalogueFactory) -> None:
    template = await catalogue.template()
    departures = [await catalogue.occurrence(trip_template_id=template) for _ in range(3)]
    prices, url = Prices(), plain(settings.database_url)
    stored = await asyncpg.connect(url)
    try:
        for departure in departures:
            await change(prices, stored, departure)
        assert await prices.lost_changes(url) == 0
        await change(prices, Connection(), departures[0])
        with pytest.raises(asyncpg.PostgresError):
            await change(prices, Connection(breaks=True), departures[1])
        assert await prices.lost_changes(url) == 1
    finally:
        await stored.close()
