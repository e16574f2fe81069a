"""Chromium without a window, driven over its DevTools protocol."""

import asyncio
import base64
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.eventually import eventually

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)
SECONDS = 30


class Tab:
    """One page. `events` are all events that the browser has reported, by method."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._socket = socket
        self._ids = count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def listen(self) -> None:
        async for message in self._socket:
            content = json.loads(message.data)
            if "id" in content:
                self._answers.pop(content["id"]).set_result(content)
            else:
                self.events.append((content["method"], content["params"]))

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._ids)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        answer = await asyncio.wait_for(self._answers[number], SECONDS)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    async def evaluate(self, script: str) -> Any:
        """Return the value of an expression, awaited if it is a promise."""
        answer = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def open(self, url: str, ready: str) -> None:
        """Go to an address, and wait until the expression `ready` holds there."""
        await self.call("Page.navigate", url=url)
        await self.wait_for(ready)

    async def wait_for(self, condition: str) -> None:
        async def holds() -> bool:
            return bool(await self.evaluate(f"Boolean({condition})"))

        await eventually(holds, within=SECONDS)

    async def screenshot(self, path: Path) -> None:
        answer = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(answer["data"]))

    def requested(self) -> list[str]:
        """Return the addresses of all requests."""
        return [params["request"]["url"] for method, params in self.events if method == "Network.requestWillBeSent"]

    def complaints(self) -> list[str]:
        """Return errors and warnings of browser and page, violations of the policy among them."""
        logged = [params["entry"] for method, params in self.events if method == "Log.entryAdded"]
        said = [params for method, params in self.events if method == "Runtime.consoleAPICalled"]
        thrown = [json.dumps(params) for method, params in self.events if method == "Runtime.exceptionThrown"]
        return [
            *(entry["text"] for entry in logged if entry["level"] in ("error", "warning")),
            *(json.dumps(params["args"]) for params in said if params["type"] in ("error", "warning", "assert")),
            *thrown,
        ]


@asynccontextmanager
async def browsing(profile: Path) -> AsyncIterator[Tab]:
    """Start a browser with an empty profile and yield a tab."""
    assert CHROMIUM is not None
    pipe = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        CHROMIUM, *QUIET, f"--user-data-dir={profile}", "about:blank", stdout=pipe, stderr=pipe
    )
    try:
        port = profile / "DevToolsActivePort"
        await eventually(lambda: port.exists() and "\n" in port.read_text(), within=SECONDS)
        number = port.read_text().splitlines()[0]
        async with aiohttp.ClientSession() as session, _tab(session, number) as tab:
            yield tab
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def _tab(session: aiohttp.ClientSession, port: str) -> AsyncIterator[Tab]:
    async with session.get(f"http://127.0.0.1:{port}/json") as answer:
        (address,) = [page["webSocketDebuggerUrl"] for page in await answer.json() if page["type"] == "page"]
    async with session.ws_connect(address, max_msg_size=0) as socket:
        tab = Tab(socket)
        listening = asyncio.create_task(tab.listen())
        for domain in ("Page", "Network", "Log", "Runtime"):
            await tab.call(f"{domain}.enable")
        yield tab
    await listening
