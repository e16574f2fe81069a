"""Request smuggling: no server in front of ours, and no client, makes it read a body as a request."""

import asyncio
import os
import random
import re
import shutil
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h11
import pytest

from scripts.dev_stack.ports import free_port
from tests.security.desync import HIDDEN_ID, LAST_ID, REQUESTS, DesyncRequest
from tests.support.processes import running_process
from tests.support.raw_http import connect_raw

SAMPLE = random.Random(0).sample(REQUESTS, 300)
AT_ONCE = 40
HEAD = re.compile(rb"HTTP/1\.1 [2-5]\d\d [^\r]*\r\n(?:[^\r\n]+\r\n)*")
REQUEST_ID = re.compile(rb"\r\nx-request-id: ([^\r]+)\r\n", re.IGNORECASE)
OF_PROXY = b""
"""Instead of the id of a response that a proxy sends itself, to what it refuses."""


def request_ids(received: bytes) -> list[bytes]:
    """Return the ids of the requests that have been responded to."""
    found = [REQUEST_ID.search(head) for head in HEAD.findall(received)]
    return [match[1] if match else OF_PROXY for match in found]


async def exchange(url: str, packets: Iterable[bytes]) -> bytes:
    """Send the packets one by one, and return all that is sent back until the server closes the connection."""
    async with connect_raw(url) as connection:
        for packet in packets:
            await connection.send(packet)
            # Another connection's turn: the server receives this packet alone.
            await asyncio.sleep(0.001)
        return await connection.read_to_end()


async def check_all(url: str, requests: list[DesyncRequest]) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def check(request: DesyncRequest, packets: tuple[bytes, ...]) -> None:
        async with gate:
            try:
                received = await exchange(url, packets)
            except ConnectionError:
                return
        ids = request_ids(received)
        assert HIDDEN_ID not in ids, (request.name, received)
        assert ids[1:] in ([], [LAST_ID], [OF_PROXY]), (request.name, received)

    await asyncio.gather(*(check(request, packets) for request in requests for packets in request.packets))


async def test_body_is_never_served_as_request(server: str) -> None:
    await check_all(server, SAMPLE)


@pytest.mark.slow
async def test_no_body_is_ever_served_as_request(server: str) -> None:
    """The whole corpus."""
    await check_all(server, REQUESTS)


async def is_accepted(url: str, request: DesyncRequest) -> bool:
    """Return whether the server serves both the request and the one after it."""
    try:
        received = await exchange(url, request.packets[0])
    except ConnectionError:
        return False
    return len(re.findall(rb"HTTP/1\.1 (?:[23]|404|405)", received)) == 2


def h11_reads(request: DesyncRequest) -> list[bytes] | None:
    """Return the targets of the requests that h11 reads, or None if it refuses one."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(request.packets[0][0])
    targets = []
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                targets.append(event.target)
            elif isinstance(event, h11.EndOfMessage):
                connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is h11.MUST_CLOSE:
                    return targets
                connection.start_next_cycle()
            elif event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                return targets
    except h11.RemoteProtocolError:
        return None


async def test_request_is_read_as_by_h11(server: str) -> None:
    """Where both accept a request, both see the same two requests."""
    accepted = 0
    for request in SAMPLE:
        expected = h11_reads(request)
        if expected is not None and await is_accepted(server, request):
            accepted += 1
            # Without upgrades h11 sees two requests; it stops at an upgrade.
            assert expected in ([b"/api/nothing", b"/livez"], [b"/api/nothing"]), request.name
    assert accepted


NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
    access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass {url}; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_request_buffering off;
        }}
        location /passed/ {{
            proxy_pass {url}/; proxy_http_version 1.1; proxy_request_buffering off;
            proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $http_connection;
        }}
    }}
}}
"""

HAPROXY = """
defaults
    mode http
    timeout connect 2s
    timeout client 2s
    timeout server 2s
frontend clients
    bind 127.0.0.1:{port}
    default_backend ours
backend ours
    http-reuse always
    server ours {address}
"""


@asynccontextmanager
async def nginx(url: str) -> AsyncIterator[str]:
    async with _proxy("nginx", NGINX, url, "-e", "stderr", "-c") as address:
        yield address


@asynccontextmanager
async def haproxy(url: str) -> AsyncIterator[str]:
    async with _proxy("haproxy", HAPROXY, url, "-db", "-f") as address:
        yield address


@asynccontextmanager
async def _proxy(program: str, configuration: str, url: str, *options: str) -> AsyncIterator[str]:
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    if path is None:
        pytest.skip(f"{program} is not installed")
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o777)
        port, file = free_port(), Path(folder, "configuration")
        file.write_text(configuration.format(folder=folder, port=port, url=url, address=url.removeprefix("http://")))
        async with running_process((path, *options, str(file)), os.environ, port=port) as process:
            await process.wait_until_responding()
            yield process.url
            # Killed, nginx would leave its worker process behind.
            process.process.terminate()
            await process.process.wait()


@pytest.mark.parametrize("proxy", [nginx, haproxy], ids=["nginx", "haproxy"])
async def test_proxy_and_server_agree(server: str, proxy: Callable[[str], Any]) -> None:
    """Nothing that the proxy passes on is read by our server as more requests than by the proxy."""
    async with proxy(server) as address:
        await check_all(address, SAMPLE)


async def test_nginx_that_passes_upgrades_agrees(server: str) -> None:
    """As gateways for WebSockets are configured: the body follows the passed upgrade."""
    async with nginx(server) as address:
        requests = [replace(request, head=request.head.replace(b" /", b" /passed/", 1)) for request in SAMPLE]
        await check_all(address, requests)
