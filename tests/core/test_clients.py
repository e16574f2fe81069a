"""A connection that breaks just before something is sent raises what one that can't be made does."""

from typing import Any

import asyncpg
import pytest
import uvloop
from redis.exceptions import ConnectionError as RedisConnectionError

from core import clients
from core.configuration.settings import Settings


def test_uvloop_failure_is_a_connection_error(settings: Settings) -> None:
    async def send_on_a_broken_one() -> None:
        async with clients.redis(settings.redis_url) as client:
            connection = await client.connection_pool.get_connection()
            # As a RST does: closed, and nobody has been told yet.
            connection._writer.transport.abort()
            with pytest.raises(RedisConnectionError):
                await connection.send_command("PING")
            await client.connection_pool.release(connection)

    uvloop.run(send_on_a_broken_one())


async def test_set_up_failure_is_a_connection_error(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    set_type_codec = asyncpg.Connection.set_type_codec

    async def break_first(connection: asyncpg.Connection, *arguments: Any, **named: Any) -> None:
        connection.terminate()
        await set_type_codec(connection, *arguments, **named)

    monkeypatch.setattr(asyncpg.Connection, "set_type_codec", break_first)
    with pytest.raises(ConnectionError):
        await clients.postgres(settings.database_url).connect()
