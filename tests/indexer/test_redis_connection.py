"""A connection that breaks just before something is sent."""

import pytest
import uvloop
from redis.exceptions import ConnectionError as RedisConnectionError

from indexer import connections
from schemas.settings import Settings


def test_uvloop_too_has_it_that_the_connection_failed(settings: Settings) -> None:
    async def send_on_a_broken_one() -> None:
        async with connections.redis(settings.redis_url) as client:
            connection = await client.connection_pool.get_connection()
            # As a RST does: closed, and nobody has been told yet.
            connection._writer.transport.abort()
            with pytest.raises(RedisConnectionError):
                await connection.send_command("PING")
            await client.connection_pool.release(connection)

    uvloop.run(send_on_a_broken_one())
