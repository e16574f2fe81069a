"""Logs of API and worker contain no personal data and no secrets, even when requests fail.

The API runs as several processes: none of them may log otherwise than the others.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGTERM
from uuid import uuid4

import httpx2
import orjson
import psutil
import pytest
from redis.asyncio import Redis
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.routes import ENDPOINTS
from core.configuration.settings import Settings
from core.logs.configuration import redact_pii
from core.logs.writer import MAX_LINE_CHARACTERS
from indexer.rebuild.reindex import reindex
from scripts.dev_stack.ports import free_port
from tests.conftest import empty
from tests.support.api.tokens import SECRET, token
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.otlp import Collector, collecting
from tests.support.processes import SMARTTRIP, WORKER, RunningProcess, environment, running_process
from tests.support.raw_http import connect_raw
from tracking import stream

EMAIL = "marker.person@example.org"
NAME = "Marker Personsdaughter"
ADDRESSES = ("203.0.113.77", "2001:db8:77:78::99")
PEER = "127.7.7.7"
QUERY = "marker-query"
ADMIN_KEY = "marker-service-key-0f5a"
PASSWORD = "marker-password-93b1"
PAGE = "https://example.org/marker-page"
TOKEN = token(email=EMAIL)
FORGED = f"{TOKEN[:-6]}AAAAAA"

SECRETS = {
    "e-mail address": EMAIL,
    "name": NAME,
    "IPv4 address": ADDRESSES[0],
    "IPv6 address": ADDRESSES[1],
    "address of a client without proxy": PEER,
    "query string": QUERY,
    "token": TOKEN,
    "forged token": FORGED,
    "part of a token": TOKEN.split(".")[1],
    "token secret": SECRET,
    "service key": ADMIN_KEY,
    "visited page": PAGE,
}

PROCESSES = 2
"""Processes of the API."""

MAX_CONNECTIONS = 50
"""Connections after which the kernel has given each process one."""

CONSTRAINTS = {
    "users": "CHECK (email IS NULL)",
    "events": "CHECK (page_url IS NULL)",
}
"""Constraints on the tables that make our statements fail."""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs") / "stderr"


@pytest.fixture(scope="module")
def failed_in_each_process() -> dict[int, str]:
    """Request ids of responses with status 500, by the process that sent them; `lines` fills it."""
    return {}


@pytest.fixture(scope="module")
def traces() -> Iterator[Collector]:
    """Collect the traces that the processes send of these requests."""
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
async def lines(  # noqa: PLR0917  # fixtures
    settings: Settings,
    engine: AsyncEngine,
    redis: Redis,
    log: Path,
    traces: Collector,
    failed_in_each_process: dict[int, str],
) -> str:
    """Debug logs of an API and a worker after requests of every kind, some of which fail."""
    await empty(engine)
    await redis.flushdb()
    await reindex(settings, lambda progress: None)
    url = database_url(settings)
    variables = {
        "DATABASE_URL": url,
        "DATABASE_DIRECT_URL": url,
        "TRUSTED_PROXIES": "127.0.0.1",
        "SUPABASE_JWT_SECRET": SECRET,
        "ADMIN_KEY": ADMIN_KEY,
        "LOG_LEVEL": "debug",
        "OTEL_EXPORTER_OTLP_ENDPOINT": traces.url,
    }
    env, port = environment(settings, **variables), free_port()
    serve = (SMARTTRIP, "serve", "--port", str(port), "--workers", str(PROCESSES))
    async with (
        running_process(serve, env, port=port, output=log, stop_signal=SIGTERM) as api,
        running_process(WORKER, env, port=port, output=log, stop_signal=SIGTERM),
        failing_writes(engine),
    ):
        await api.wait_until_responding()
        # First: of errors that repeat, each process writes only the first.
        failed_in_each_process.update(await provoke_errors_in_each_process(api))
        async with http_client(api.url, timeout=20) as client:
            await call_every_endpoint(client)
            await provoke_errors(client)
        async with connect_raw(api.url) as connection:
            await connection.send(
                f"GET /{EMAIL} HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n: no name\r\n\r\n".encode()
            )
            await connection.read_to_end()
        await call_from(PEER, port)
        await eventually(lambda: is_empty(redis), within=20)
    return log.read_text()


def database_url(settings: Settings) -> str:
    """Return the address with a password: PASSWORD, where the server asks for none."""
    url = make_url(settings.database_url).set(drivername="postgresql")
    return url.set(password=url.password or PASSWORD).render_as_string(hide_password=False)


async def call_from(address: str, port: int) -> None:
    """Send requests that succeed and fail from a local address of our choice."""
    transport = httpx2.AsyncHTTPTransport(local_address=address)
    async with httpx2.AsyncClient(transport=transport, base_url=f"http://127.0.0.1:{port}") as client:
        for endpoint in (*ENDPOINTS, None):
            path = endpoint.path.replace("{id:int}", "1") if endpoint else "/api/nothing"
            for method in ("GET", "HEAD", "POST", "DELETE"):
                await client.request(method, f"{path}?q={QUERY}")


async def is_empty(redis: Redis) -> bool:
    return await stream.length(redis) == 0


def event(**values: object) -> dict[str, object]:
    return {"event_type": "page_view", "session_id": str(uuid4()), "anonymous_id": str(uuid4()), **values}


BODY = event(email=EMAIL, name=NAME, page_url=PAGE, referrer=PAGE, metadata={"email": EMAIL})
BODIES: tuple[object, ...] = (
    {**BODY, "events": [BODY, {**BODY, "page_url": 5}]},
    dict.fromkeys((*BODY, "budget", "year", "queue", "repair", "category", "events"), EMAIL),
    [EMAIL],
)
CREDENTIALS = (TOKEN, FORGED, ADMIN_KEY, f"{ADMIN_KEY}x")


async def call_every_endpoint(client: httpx2.AsyncClient) -> None:
    for endpoint in ENDPOINTS:
        path = endpoint.path.replace("{id:int}", "1")
        for number, credentials in enumerate(CREDENTIALS):
            headers = {"Authorization": f"Bearer {credentials}", "X-Forwarded-For": ADDRESSES[number % 2]}
            await client.request(
                endpoint.method, f"{path}?q={EMAIL}&continent={EMAIL}&category={EMAIL}", headers=headers
            )
            if endpoint.method == "POST":
                for body in BODIES:
                    await client.post(path, json=body, headers=headers)


async def provoke_errors(client: httpx2.AsyncClient) -> None:
    headers = {"Authorization": f"Bearer {token(email='a' + EMAIL)}", "X-Forwarded-For": ADDRESSES[0]}
    failed = await client.post("/api/user/identify", json={"anonymous_id": str(uuid4()), "name": NAME}, headers=headers)
    assert failed.status_code == 500
    assert failed.json()["error"] == "Something went wrong on our side. Please try again."
    accepted = await client.post("/api/events", json=event(page_url=PAGE), headers=headers)
    assert accepted.status_code == 202


async def provoke_errors_in_each_process(api: RunningProcess) -> dict[int, str]:
    """Return the request id of the first failed request of each process of the API, by the process's id."""
    body = orjson.dumps({"anonymous_id": str(uuid4()), "name": NAME})
    head = f"POST /api/user/identify HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    head += f"Content-Type: application/json\r\nAuthorization: Bearer {token(email='b' + EMAIL)}\r\n\r\n"
    failed: dict[int, str] = {}
    for _ in range(MAX_CONNECTIONS):
        async with connect_raw(api.url) as connection:
            await connection.send(head.encode() + body)
            response = (await connection.response_head()).decode()
            assert response.startswith("HTTP/1.1 500 ")
            request_id = response.lower().split("x-request-id: ")[1].split()[0]
            failed.setdefault(process_behind(api, connection.local_port), request_id)
        if len(failed) == PROCESSES:
            break
    return failed


def process_behind(api: RunningProcess, client_port: int) -> int:
    """Return the id of the process of the API that accepted the connection from this port."""
    return next(
        process.pid
        for process in psutil.Process(api.process.pid).children(recursive=True)
        for connection in process.net_connections("tcp")
        if connection.raddr and connection.raddr.port == client_port
    )


@asynccontextmanager
async def failing_writes(engine: AsyncEngine) -> AsyncIterator[None]:
    await change(engine, "ALTER TABLE {table} ADD CONSTRAINT failing_writes {check} NOT VALID")
    try:
        yield
    finally:
        await change(engine, "ALTER TABLE {table} DROP CONSTRAINT failing_writes")


async def change(engine: AsyncEngine, statement: str) -> None:
    async with engine.begin() as connection:
        for table, check in CONSTRAINTS.items():
            await connection.execute(text(statement.format(table=table, check=check)))


@pytest.mark.parametrize("event", ["admin_call", "unexpected_error", "tracking_set_aside", "worker_started"])
def test_event_is_logged(lines: str, event: str) -> None:
    assert f'"{event}"' in lines


def test_each_process_logs_an_error_with_traceback_and_type(lines: str, failed_in_each_process: dict[int, str]) -> None:
    assert len(failed_in_each_process) == PROCESSES
    errors = [line for line in lines.splitlines() if '"unexpected_error"' in line]
    for request_id in failed_in_each_process.values():
        (error,) = [line for line in errors if f'"{request_id}"' in line]
        assert all(part in error for part in ("Traceback", "tracking.py", "CheckViolationError", "\\n***\\n"))


def test_every_process_logs_bounded_lines_of_json(lines: str) -> None:
    for line in lines.splitlines():
        assert {"event", "level", "timestamp"} <= orjson.loads(line).keys()
        assert len(line) <= MAX_LINE_CHARACTERS


def test_log_contains_no_password(lines: str, settings: Settings) -> None:
    password = make_url(database_url(settings)).password
    assert password
    assert password not in lines


@pytest.mark.parametrize("kind", SECRETS)
def test_log_contains_no_personal_or_secret_data(lines: str, kind: str) -> None:
    assert SECRETS[kind] not in lines


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.usefixtures("lines")
def test_spans_contain_no_personal_or_secret_data(traces: Collector, kind: str) -> None:
    text = "".join(map(str, traces.spans))
    assert "POST /api/events" in text
    assert "process smarttrip:tracking" in text
    assert SECRETS[kind] not in text


@pytest.mark.parametrize(
    ("logged", "redacted"),
    [
        ("no such path: /a@b.example/c", "no such path: /***/c"),
        ("postgresql://app:pass@db:5432/x", "postgresql://app:***:5432/x"),
        (f"bad token {TOKEN}!", "bad token ***!"),
        ("refused\nDETAIL:  Failing row (5, Dana\nof Haifa).\n[SQL: INSERT]", "refused\n***\n[SQL: INSERT]"),
        ("refused\nDETAIL:  Key (email)=(x) exists.\n\nThe above", "refused\n***\n\nThe above"),
        ("12 departures a second", "12 departures a second"),
        (12, 12),
    ],
)
def test_personal_data_in_errors_is_redacted(logged: object, redacted: object) -> None:
    assert redact_pii(None, "info", {"event": logged}) == {"event": redacted}
