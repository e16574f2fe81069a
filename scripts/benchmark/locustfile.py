"""A load test for any deployment, with the same mix of requests as the web client's: see docs/how-to/load-test.md."""

import json
import os
import random
from ipaddress import IPv4Address
from itertools import count
from typing import Any
from uuid import uuid4

from locust import HttpUser, between, task

from scripts.benchmark.load.workload import Ids, searches

SEED = int(os.environ.get("LOAD_SEED", "1"))
JSON = {"Content-Type": "application/json"}

_users = count()


class Visitor(HttpUser):
    """Opens the search page, searches, views trips, and sends the web client's tracking events."""

    wait_time = between(1, 5)

    def on_start(self) -> None:
        self.number = next(_users)
        self.rng = random.Random(SEED * 1_000_003 + self.number)
        # Where the target trusts our address as a proxy, each visitor has an address and rate limits of its own.
        self.client.headers["X-Forwarded-For"] = str(IPv4Address("10.0.0.0") + self.number)
        self.ids = {"session_id": str(uuid4()), "anonymous_id": str(uuid4())}
        countries, types, themes = self._open_search_page()
        self.searches = searches(Ids(countries, types, themes, year=2027), 50, self.rng.randrange(2**32))
        self._post("/api/session/start", {**self.ids, "device_type": "desktop"})

    @task(5)
    def search(self) -> None:
        found = self._post("/api/v2/recommendations", self.rng.choice(self.searches))
        self.trips = [trip["id"] for trip in found.get("data", [])][:10]
        self._events("impression", self.trips)

    @task(2)
    def view_trip(self) -> None:
        trips = getattr(self, "trips", [])
        if trips:
            trip = self.rng.choice(trips)
            self.client.get(f"/api/v2/occurrences/{trip}", name="/api/v2/occurrences/{id}")
            self._events("trip_view", [trip])

    @task(1)
    def reload_search_page(self) -> None:
        self._open_search_page()

    def _open_search_page(self) -> tuple[list[int], list[int], list[int]]:
        countries = self.client.get("/api/locations").json()["countries"]
        types = self.client.get("/api/trip-types").json()["data"]
        tags = self.client.get("/api/tags").json()["data"]
        return [row["id"] for row in countries], [row["id"] for row in types], [row["id"] for row in tags]

    def _events(self, event_type: str, trips: list[int]) -> None:
        if trips:
            source = {"source": "search_results"}
            events = [{"event_type": event_type, "trip_id": trip, **self.ids, **source} for trip in trips]
            self._post("/api/events/batch", {"events": events})

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        content: dict[str, Any] = self.client.post(path, data=json.dumps(body), headers=JSON).json()
        return content
