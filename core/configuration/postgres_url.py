"""Parse the URL of a Postgres database, with the parameters that libpq documents.

https://www.postgresql.org/docs/current/libpq-connect.html has their meaning. What cannot be done as documented is
rejected by name, never ignored.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from ssl import PROTOCOL_TLS_CLIENT, SSLContext, SSLError, get_default_verify_paths
from urllib.parse import unquote, urlencode

from core.configuration.hosts import is_host

SCHEMES = ("postgres", "postgresql", "postgresql+asyncpg")
DEFAULT_PORT = 5432
MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
"""Values of sslmode, from weak to strong."""
SYSTEM_CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")

ADDRESS = frozenset({"host", "hostaddr", "port", "user", "password", "dbname"})
"""Parameters that repeat a part of the URL."""
SOCKET = frozenset({"keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"})
"""Options of TCP sockets: whole numbers."""
DRIVER = frozenset(
    {
        "gsslib",
        "krbsrvname",
        "passfile",
        "ssl_max_protocol_version",
        "ssl_min_protocol_version",
        "sslcert",
        "sslcrl",
        "sslkey",
        "sslmode",
        "sslnegotiation",
        "sslpassword",
        "sslrootcert",
        "target_session_attrs",
    }
)
"""Parameters that asyncpg implements as libpq does."""
CONNECTION = frozenset(
    {
        "application_name",
        "channel_binding",
        "connect_timeout",
        "fallback_application_name",
        "load_balance_hosts",
        "options",
        *SOCKET,
        *DRIVER,
    }
)
TLS_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
ALLOWED: Mapping[str, tuple[str, ...]] = {
    "channel_binding": ("disable", "prefer", "require"),
    "load_balance_hosts": ("disable", "random"),
    "ssl_max_protocol_version": TLS_VERSIONS,
    "ssl_min_protocol_version": TLS_VERSIONS,
    "sslmode": MODES,
    "sslnegotiation": ("postgres", "direct"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    # Parameters with one supported meaning, which is how every connection works anyway.
    "client_encoding": ("auto", "utf8", "utf-8", "UTF8", "UTF-8"),
    "gssdelegation": ("0",),
    "gssencmode": ("disable", "prefer"),
    "max_protocol_version": ("3.0", "3.2", "latest"),
    "min_protocol_version": ("3.0",),
    "replication": ("false", "off", "no", "0"),
    "sslcertmode": ("allow",),
    "sslcompression": ("0", "1"),
    "sslsni": ("1",),
}
FILES = ("sslcert", "sslkey", "sslrootcert", "sslcrl", "passfile")


class PostgresUrlError(ValueError):
    """A URL is malformed or has a parameter that is not supported; the message names it, but no password."""


@dataclass(frozen=True)
class PostgresAddress:
    hosts: tuple[tuple[str, int], ...] = ()
    """Names, addresses or socket folders, with ports, in the order in which they are tried; empty: libpq's default."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    session_settings: Mapping[str, str] = field(default_factory=dict)
    """Settings of Postgres from the parameter `options`."""

    @property
    def driver_url(self) -> str:
        """Return the parameters that asyncpg implements, as a URL without an address."""
        return "postgresql://?" + urlencode({name: self.parameters[name] for name in DRIVER & self.parameters.keys()})


def parse_postgres_url(url: str) -> PostgresAddress:
    """Parse and validate a URL. Raises: PostgresUrlError."""
    scheme, separator, rest = url.partition("://")
    if scheme not in SCHEMES or not separator or not rest:
        raise PostgresUrlError("should be postgresql://user:password@host:port/database")
    if "%00" in rest or re.search(r"%(?![0-9A-Fa-f]{2})", rest):
        raise PostgresUrlError("each % should begin a percent-encoded character, other than %00")
    credentials, rest = _split_credentials(rest)
    before, _, query = rest.partition("?")
    host_list, _, path = before.partition("/")
    user, _, password = credentials.partition(":")
    parameters = _parse_query(query)
    address = PostgresAddress(
        hosts=_parse_hosts(host_list, parameters),
        user=parameters.get("user", unquote(user)) or None,
        password=parameters.get("password", unquote(password)) or None,
        database=parameters.get("dbname", unquote(path)) or None,
        parameters=_resolve_tls({name: parameters[name] for name in CONNECTION & parameters.keys()}),
        session_settings=_parse_options(parameters.get("options", "")),
    )
    _check_tls(address.parameters)
    return address


def _split_credentials(rest: str) -> tuple[str, str]:
    """Return what is before the host, which may contain question marks as it may for libpq, and the rest."""
    first, separator, rest = rest.partition("@") if re.match("[^/@]*@", rest) else ("", "", rest)
    more, again, _ = re.split("[/?]", rest, maxsplit=1)[0].rpartition("@")
    return first + (separator + more if again else ""), rest.removeprefix(more + again)


def _parse_query(query: str) -> dict[str, str]:
    """Return the parameters. They take precedence over the other parts of the URL, as they do for libpq."""
    parameters: dict[str, str] = {}
    for name, value in (_translate(*pair) for pair in _split_query(query)):
        if name not in ADDRESS | CONNECTION | ALLOWED.keys():
            # Anything else may be a piece of a password that is not percent-encoded.
            named = f"the parameter {name}" if re.fullmatch(r"[A-Za-z_]{1,40}", name) else "a parameter"
            raise PostgresUrlError(f"{named} is not supported; remove it")
        if not value and name not in ADDRESS:
            continue
        if name in ALLOWED and value not in ALLOWED[name]:
            raise PostgresUrlError(f"{name} should be {_or(ALLOWED[name])}")
        if name in SOCKET | {"connect_timeout"} and not re.fullmatch(r"-?\d{1,9}", value):
            raise PostgresUrlError(f"{name} should be a whole number")
        # Several values of `host` are how SQLAlchemy writes several hosts.
        repeated = name == "host" and name in parameters
        parameters[name] = f"{parameters[name]},{value}" if repeated else value
    return parameters


def _split_query(query: str) -> Iterator[tuple[str, str]]:
    """Yield names and values. A plus sign is one, but in `options`, where some programs write it for a blank."""
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        yield unquote(name), unquote(value.replace("+", " ") if name == "options" else value)


def _translate(name: str, value: str) -> tuple[str, str]:
    """Return libpq's parameter for the spellings of JDBC (`ssl=true`) and asyncpg (`ssl=require`, `database=`)."""
    if name == "ssl":
        return "sslmode", {"true": "require", "false": "disable"}.get(value, value)
    return ("dbname" if name == "database" else name), value


def _parse_hosts(host_list: str, parameters: Mapping[str, str]) -> tuple[tuple[str, int], ...]:
    names, ports = _split_hosts(host_list)
    if "host" in parameters:
        names, written = _split_hosts(parameters["host"])
        ports = written if any(written) else ports
    if "hostaddr" in parameters:
        if parameters.get("sslmode") == "verify-full" or parameters.get("channel_binding") == "require":
            raise PostgresUrlError("hostaddr is not supported where the host's name is verified; remove it")
        names = parameters["hostaddr"].split(",")
    if "port" in parameters:
        names, ports = names or ["localhost"], parameters["port"].split(",")
    ports = _spread(ports, len(names))
    return tuple((name or "localhost", _parse_port(port)) for name, port in zip(names, ports, strict=True))


def _split_hosts(written: str) -> tuple[list[str], list[str]]:
    """Return names and ports of a list."""
    pairs = [_split_host(item) for item in written.split(",")] if written else []
    return [name for name, _ in pairs], [port for _, port in pairs]


def _spread(ports: list[str], count: int) -> list[str]:
    """Return as many ports; one stands for all. Raises: PostgresUrlError."""
    if not any(ports):
        return [""] * count
    if len(ports) not in (1, count):
        raise PostgresUrlError("port should have one value, or one for each host")
    return ports * count if len(ports) == 1 else ports


def _split_host(item: str) -> tuple[str, str]:
    """Return name and port of `name`, `name:port` or `[IPv6]:port`; a socket folder may be percent-encoded."""
    if item.startswith("/"):
        # From the parameter `host`: managed databases have colons in the folders of their sockets.
        return item, ""
    found = re.fullmatch(r"(\[[^\]]+\]|[^:\[\]]*)(?::(.*))?", item.strip())
    if found is None:
        raise PostgresUrlError("the host should be a name, an IPv4 address, or an IPv6 address in brackets")
    name = unquote(found[1].strip("[]"))
    # The folder of a socket is no name.
    if name and not name.startswith("/") and not is_host(name):
        raise PostgresUrlError("the host should be a name without an empty part or one above 63 characters")
    return name, found[2] or ""


def _parse_port(port: str) -> int:
    if not port:
        return DEFAULT_PORT
    if not re.fullmatch(r"\d{1,5}", port) or not 0 < int(port) < 65536:
        raise PostgresUrlError("the port should be a number from 1 to 65535")
    return int(port)


def _parse_options(options: str) -> dict[str, str]:
    """Return the settings of `-c name=value` and `--name=value`; backslashes escape spaces and backslashes."""
    words = [re.sub(r"\\(.)", r"\1", word) for word in re.findall(r"(?:\\.|[^\s\\])+", options)]
    settings, position = {}, 0
    while position < len(words):
        word = words[position]
        if word == "-c" and position + 1 < len(words):
            position += 1
            word = "-c" + words[position]
        found = re.fullmatch(r"(?:-c|--)([A-Za-z_][\w.-]*)=(.*)", word, re.DOTALL)
        if found is None:
            raise PostgresUrlError("options should be of the form -c name=value")
        settings[found[1].replace("-", "_")] = found[2]
        position += 1
    return settings


def _resolve_tls(parameters: dict[str, str]) -> dict[str, str]:
    """Return the parameters with what `channel_binding=require` and `sslrootcert=system` stand for.

    asyncpg cannot bind the log-in to the TLS channel. Verifying the server's certificate and name prevents the same
    attack, so that is what is done instead.
    """
    if parameters.get("channel_binding") == "require":
        if parameters.get("sslmode") == "disable":
            raise PostgresUrlError("channel_binding=require needs TLS, but sslmode=disable forbids it")
        parameters["sslmode"] = "verify-full"
        parameters.setdefault("sslrootcert", "system")
    if parameters.get("sslrootcert") == "system":
        if parameters.setdefault("sslmode", "verify-full") != "verify-full":
            raise PostgresUrlError("sslrootcert=system needs sslmode=verify-full")
        parameters["sslrootcert"] = _system_certificates()
    return parameters


def _system_certificates() -> str:
    for path in (get_default_verify_paths().cafile, *SYSTEM_CERTIFICATES):
        if path is not None and Path(path).is_file():
            return path
    raise PostgresUrlError("sslrootcert=system finds no certificates on this machine; name a file")


def _check_tls(parameters: Mapping[str, str]) -> None:
    """Raise PostgresUrlError if a file is missing or unusable, or parameters contradict each other."""
    for name in FILES:
        if name in parameters and not Path(parameters[name]).is_file():
            raise PostgresUrlError(f"{name} should be a file: there is none at {parameters[name]}")
    mode = parameters.get("sslmode", "prefer")
    if parameters.get("sslnegotiation") == "direct" and MODES.index(mode) < MODES.index("require"):
        raise PostgresUrlError("sslnegotiation=direct needs sslmode=require or stronger")
    context = SSLContext(PROTOCOL_TLS_CLIENT)
    for name in ("sslrootcert", "sslcrl"):
        if name in parameters:
            _check_file(name, parameters[name], context.load_verify_locations)
    if "sslcert" in parameters:
        password = parameters.get("sslpassword", "")
        key = parameters.get("sslkey")
        _check_file("sslcert", parameters["sslcert"], lambda path: context.load_cert_chain(path, key, password))


def _check_file(name: str, path: str, load: Callable[[str], None]) -> None:
    try:
        load(path)
    except (SSLError, OSError):
        raise PostgresUrlError(f"{name} should be a file in PEM format that this process may read") from None


def _or(values: tuple[str, ...]) -> str:
    return " or ".join([", ".join(values[:-1]), values[-1]] if len(values) > 1 else values)
