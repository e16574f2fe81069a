"""The bulk requests that went through a proxy, to be found and to be sent again."""

import re
from collections.abc import Iterator
from random import Random

import httpx2

from tests.support.fault_proxy import FaultProxy

HEAD = re.compile(rb"(?:POST|PUT) (\S*/_bulk\S*) HTTP/1\.1\r\n(.*?)\r\n\r\n", re.DOTALL | re.IGNORECASE)
LENGTH = re.compile(rb"^content-length: *(\d+)", re.IGNORECASE | re.MULTILINE)
CONTENT_TYPE = "application/x-ndjson"


def bulks(proxy: FaultProxy) -> Iterator[tuple[str, bytes]]:
    """Path and body of those that were sent completely, in the order of their connections."""
    for connection in proxy.connections:
        sent = bytes(connection.sent)
        for head in HEAD.finditer(sent):
            length = LENGTH.search(head[2])
            assert length is not None, "a bulk request in chunks"
            body = sent[head.end() : head.end() + int(length[1])]
            if len(body) == int(length[1]):
                yield head[1].decode(), body


async def replay(url: str, requests: list[tuple[str, bytes]], random: Random) -> None:
    """All of them again, some twice, in any order."""
    again = requests + random.sample(requests, len(requests) // 2)
    random.shuffle(again)
    async with httpx2.AsyncClient(base_url=url) as client:
        for path, body in again:
            answer = await client.post(path, content=body, headers={"Content-Type": CONTENT_TYPE})
            assert answer.status_code == 200, answer.text
