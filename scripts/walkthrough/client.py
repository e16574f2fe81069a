"""A client of the API."""

import json
import time
from http.client import HTTPConnection
from typing import Any, NamedTuple

from scripts.errors import CliError

SEARCH_PATH = "/api/v2/recommendations"


class Response(NamedTuple):
    body: dict[str, Any]
    milliseconds: float


class Client:
    def __init__(self, port: int) -> None:
        self._port = port

    def search(self, preferences: dict[str, Any]) -> Response:
        return self._request("POST", SEARCH_PATH, json.dumps(preferences))

    def ids(self, path: str) -> dict[str, int]:
        """Return the ids of reference data by English name."""
        return {row["name"]: row["id"] for row in self._request("GET", path).body["data"]}

    def _request(self, method: str, path: str, body: str | None = None) -> Response:
        """Send a request and return the response. Raises: CliError, if it is an error."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            started = time.perf_counter()
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            content = json.loads(connection.getresponse().read())
            milliseconds = (time.perf_counter() - started) * 1000
        finally:
            connection.close()
        if not content["success"]:
            raise CliError(f"The API rejects {method} {path}: {content['error']}")
        return Response(content, milliseconds)
