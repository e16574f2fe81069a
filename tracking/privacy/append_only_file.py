"""Redis' append-only file, which contains removed entries of the stream until it is rewritten."""

import asyncio

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

log = structlog.get_logger()

REWRITE_SECONDS = 60.0
POLL_SECONDS = 0.1


async def rewrite_append_only_file(redis: Redis) -> bool:
    """Have the file rewritten without what was removed. Return False if that did not succeed within a minute.

    Redis without such a file needs none; one that does not allow the command rewrites it by itself when it has grown.
    """
    try:
        async with asyncio.timeout(REWRITE_SECONDS):
            if not (await redis.info(section="persistence"))["aof_enabled"]:
                return True
            await _finish_rewrite(redis)
            await redis.execute_command("BGREWRITEAOF")  # type: ignore[no-untyped-call]
            await _finish_rewrite(redis)
            return bool((await redis.info(section="persistence"))["aof_last_bgrewrite_status"] == "ok")
    except (RedisError, TimeoutError, KeyError) as error:
        log.warning("append_only_file_not_rewritten", error=type(error).__name__)
        return False


async def _finish_rewrite(redis: Redis) -> None:
    while True:
        state = await redis.info(section="persistence")
        if not state["aof_rewrite_in_progress"] and not state["aof_rewrite_scheduled"]:
            return
        await asyncio.sleep(POLL_SECONDS)
