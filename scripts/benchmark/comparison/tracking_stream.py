"""The tracking stream, as the benchmark sees it: events and request logs on their way to the worker."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event

from redis import Redis

from schemas.redis_keys import TRACKING_STREAM
from scripts.errors import CliError

POLL_SECONDS = 0.02
CLEAR_SECONDS = 0.5
TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True)
class BenchStream:
    redis_url: str
    redis_prefix: str = ""

    def clear(self) -> None:
        """Delete all entries, as a worker would."""
        with Redis.from_url(self.redis_url) as redis:
            redis.delete(self._key)

    @contextmanager
    def kept_empty(self) -> Iterator[None]:
        """Delete all entries again and again during the block, so that none is refused because the stream is full."""
        ended = Event()

        def clear_until_ended() -> None:
            while not ended.wait(CLEAR_SECONDS):
                self.clear()

        with ThreadPoolExecutor(1) as threads:
            clearing = threads.submit(clear_until_ended)
            try:
                yield
            finally:
                ended.set()
            clearing.result()

    def length(self) -> int:
        with Redis.from_url(self.redis_url) as redis:
            return int(redis.xlen(self._key))

    def wait_until_stored(self) -> None:
        """Wait for the worker to store all entries. Raises: CliError, if that takes too long."""
        end = time.monotonic() + TIMEOUT_SECONDS
        while self.length():
            if time.monotonic() > end:
                raise CliError("The worker did not store all events; its log is worker.log.")
            time.sleep(POLL_SECONDS)

    @property
    def _key(self) -> str:
        return self.redis_prefix + TRACKING_STREAM
