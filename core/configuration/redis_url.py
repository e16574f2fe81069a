"""URLs of Redis: of a server, or of the Sentinels that name it."""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit

from core.configuration.hosts import has_address

SERVER_SCHEMES = ("redis", "rediss", "unix")
"""Schemes that redis-py reads itself."""
SENTINEL_SCHEMES = {"redis+sentinel": "redis", "rediss+sentinel": "rediss"}
"""Schemes of URLs that name Sentinels, with that of the servers."""
SENTINEL_PORT = 26379
FORMS = "should be redis://host:port/database, or redis+sentinel://host:port,host:port/name/database"


@dataclass(frozen=True)
class SentinelUrl:
    sentinels: tuple[tuple[str, int], ...]
    master: str
    """Name under which the Sentinels know the servers."""
    server_url: str = field(repr=False)
    """URL of a server for redis-py, with a host that is to be replaced."""
    credentials: dict[str, str] = field(repr=False)
    """User and password for the Sentinels themselves."""


def parse_sentinel_url(url: str) -> SentinelUrl | None:
    """Parse `redis+sentinel://user:password@host:port,host:port/name/database`; return None for other schemes.

    The parameters `sentinel_username` and `sentinel_password` are for the Sentinels, all others for the servers.
    Raises: ValueError.
    """
    try:
        return _parse(url)
    except ValueError:
        # Whatever is wrong, also what `urlsplit` says in its own words.
        raise ValueError(FORMS) from None


def _parse(url: str) -> SentinelUrl | None:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in (*SERVER_SCHEMES, *SENTINEL_SCHEMES):
        raise ValueError
    parts = urlsplit(f"//{rest}")
    if scheme in SERVER_SCHEMES:
        # Without a host it is the client's own default, or a socket.
        if parts.netloc.rpartition("@")[2] and not has_address(parts):
            raise ValueError
        return None
    credentials, at, hosts = parts.netloc.rpartition("@")
    master, _, database = parts.path.strip("/").partition("/")
    if not master or not (database or "0").isdigit():
        raise ValueError
    parameters = dict(parse_qsl(parts.query))
    of_sentinels = {name: parameters.pop(f"sentinel_{name}", "") for name in ("username", "password")}
    return SentinelUrl(
        tuple(map(_split_host, hosts.split(","))),
        master,
        f"{SENTINEL_SCHEMES[scheme]}://{credentials}{at}master/{database or 0}?{urlencode(parameters)}",
        {name: value for name, value in of_sentinels.items() if value},
    )


def _split_host(host: str) -> tuple[str, int]:
    parts = urlsplit(f"//{host.strip()}")
    if not has_address(parts):
        raise ValueError
    return parts.hostname or "", parts.port or SENTINEL_PORT
