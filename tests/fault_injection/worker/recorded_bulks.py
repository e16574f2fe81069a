"""Bulk requests recorded by a fault proxy, to be found and to be replayed."""

import re
from collections.abc import Iterator
from random import Random

from tests.support.fault_proxy import FaultProxy
from tests.support.http_client import http_client

HEAD = re.compile(rb"(?:POST|PUT) (\S*/_bulk\S*) HTTP/1\.1\r\n(.*?)\r\n\r\n", re.DOTALL | re.IGNORECASE)
LENGTH = re.compile(rb"^content-length: *(\d+)", re.IGNORECASE | re.MULTILINE)
CONTENT_TYPE = "application/x-ndjson"


def recorded_bulks(proxy: FaultProxy) -> Iterator[tuple[str, bytes]]:
    """Yield path and body of each complete bulk request, in the order of their connections."""
    for connection in proxy.connections:
        sent = bytes(connection.sent)
        for head in HEAD.finditer(sent):
            length = LENGTH.search(head[2])
            assert length is not None, "a bulk request without Content-Length"
            body = sent[head.end() : head.end() + int(length[1])]
            if len(body) == int(length[1]):
                yield head[1].decode(), body


async def replay(url: str, requests: list[tuple[str, bytes]], random: Random) -> None:
    """Send all requests again in random order, half of them twice."""
    repeated = requests + random.sample(requests, len(requests) // 2)
    random.shuffle(repeated)
    async with http_client(url) as client:
        for path, body in repeated:
            response = await client.post(path, content=body, headers={"Content-Type": CONTENT_TYPE})
            assert response.status_code == 200, response.text
