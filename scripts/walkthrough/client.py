"""Asking the API as any client does."""

import json
import time
from http.client import HTTPConnection
from typing import Any, NamedTuple

from scripts.errors import CliError

SEARCH = "/api/v2/recommendations"


class Answer(NamedTuple):
    body: dict[str, Any]
    milliseconds: float


class Client:
    def __init__(self, port: int) -> None:
        self._port = port

    def search(self, wishes: dict[str, Any]) -> Answer:
        return self._ask("POST", SEARCH, json.dumps(wishes))

    def ids(self, path: str) -> dict[str, int]:
        """Of reference data, by English name."""
        return {row["name"]: row["id"] for row in self._ask("GET", path).body["data"]}

    def _ask(self, method: str, path: str, body: str | None = None) -> Answer:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            began = time.perf_counter()
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            answer = json.loads(connection.getresponse().read())
            taken = (time.perf_counter() - began) * 1000
        finally:
            connection.close()
        if not answer["success"]:
            raise CliError(f"The API refuses {method} {path}: {answer['error']}")
        return Answer(answer, taken)
