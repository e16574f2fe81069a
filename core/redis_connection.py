"""Connections to Redis: plain, over TLS, over a Unix socket, or to the master that Sentinels name."""

from collections.abc import Iterable
from typing import Any

from redis.asyncio import BlockingConnectionPool, Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection, parse_url
from redis.asyncio.sentinel import Sentinel
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError

from core.configuration.redis_url import SentinelUrl, parse_sentinel_url

SENTINEL_SECONDS = 0.5
"""Seconds that each Sentinel has to name the master."""


class _SafeConnection(AbstractConnection):
    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        """Send a command. Where uvloop raises RuntimeError for a broken connection, raise redis' ConnectionError."""
        try:
            await super().send_packed_command(command, check_health)
        except RuntimeError as error:
            raise RedisConnectionError(str(error)) from error


class TcpConnection(_SafeConnection, Connection):
    pass


class TlsConnection(_SafeConnection, SSLConnection):
    pass


class SocketConnection(_SafeConnection, UnixDomainSocketConnection):
    pass


class RedisMaster:
    """The server that the Sentinels call the master now."""

    def __init__(self, url: SentinelUrl, **options: Any) -> None:
        """`options` are those of connections to the Sentinels."""
        limits = {"socket_timeout": SENTINEL_SECONDS, "socket_connect_timeout": SENTINEL_SECONDS}
        options = {**limits, **url.credentials, **options}
        self._sentinel = Sentinel(url.sentinels, sentinel_kwargs=options)  # type: ignore[no-untyped-call]
        self._name = url.master

    async def find(self) -> tuple[str, int]:
        """Return its address. Raises: RedisError, if no Sentinel responds, or there is no master."""
        host, port = await self._sentinel.discover_master(self._name)
        return str(host), int(port)

    async def close(self) -> None:
        for client in self._sentinel.sentinels:
            await client.aclose()


class _ToMaster(_SafeConnection):
    host: str
    port: int

    def __init__(self, *, redis_master: RedisMaster, **options: Any) -> None:
        super().__init__(**options)
        self._redis_master = redis_master

    async def connect(self) -> None:
        if not self.is_connected:
            self.host, self.port = await self._redis_master.find()
        await super().connect()  # type: ignore[no-untyped-call]

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        """Return a reply. Raises: redis' ConnectionError where the server has become a replica."""
        try:
            return await super().read_response(*arguments, **options)
        except ReadOnlyError:
            await self.disconnect(nowait=True)
            raise RedisConnectionError("The server is not the master any more.") from None


class MasterConnection(_ToMaster, Connection):
    pass


class MasterTlsConnection(_ToMaster, SSLConnection):
    pass


_OWN_CLASSES: dict[type[AbstractConnection], type[AbstractConnection]] = {
    Connection: TcpConnection,
    SSLConnection: TlsConnection,
    UnixDomainSocketConnection: SocketConnection,
}


class RedisPool(BlockingConnectionPool):
    key_prefix: str = ""
    master: RedisMaster | None = None
    """What connections follow if the URL names Sentinels."""

    @classmethod
    def open(cls, url: str, *, prefix: str = "", **options: Any) -> "RedisPool":
        """Create a pool; its connections are made on first use. Raises: ValueError for a malformed URL."""
        sentinel_url = parse_sentinel_url(url)
        parsed: dict[str, Any] = dict(parse_url(sentinel_url.server_url if sentinel_url else url))
        connection_class = parsed.pop("connection_class", Connection)
        if sentinel_url is None:
            pool = cls(connection_class=_OWN_CLASSES[connection_class], **{**options, **parsed})
        else:
            pool = cls._of_master(
                sentinel_url, is_tls=connection_class is SSLConnection, options=options, parsed=parsed
            )
        pool.key_prefix = prefix
        return pool

    @classmethod
    def _of_master(
        cls, url: SentinelUrl, *, is_tls: bool, options: dict[str, Any], parsed: dict[str, Any]
    ) -> "RedisPool":
        del parsed["host"]
        certificates = {name: value for name, value in parsed.items() if name.startswith("ssl_")}
        master = RedisMaster(url, **({"ssl": True, **certificates} if is_tls else {}))
        connection_class = MasterTlsConnection if is_tls else MasterConnection
        pool = cls(connection_class=connection_class, redis_master=master, **{**options, **parsed})
        pool.master = master
        return pool

    async def disconnect(self, inuse_connections: bool = True) -> None:
        """Close the connections: those to the Sentinels, too."""
        await super().disconnect(inuse_connections)
        if self.master is not None:
            await self.master.close()
