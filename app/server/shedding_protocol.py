"""Load shedding: reject requests with 503 in the HTTP protocol, before the application does anything for them."""

import asyncio
from functools import lru_cache
from typing import Any, cast

from prometheus_client import Counter
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.http.errors import ApiError, overloaded
from app.server.admission import AdmissionController
from app.server.protocol import TimeoutProtocol
from app.server.receiving_limit import ReceivingLimit
from app.server.request_cycle import RequestCycle
from app.server.request_head import RequestError
from app.server.search_limit import PossibleSearch
from app.server.static_error import StaticErrorResponse
from core.configuration.settings import Settings
from schemas.messages.message import Message

SHED_REQUESTS = Counter("smarttrip_http_requests_shed_total", "Requests refused because too many were being answered")

MALFORMED_REQUESTS = {
    400: Message("request_malformed"),
    501: Message("feature_not_implemented"),
    505: Message("version_not_supported"),
}
"""Error messages by status, in English: the languages that a request accepts cannot be read either."""


class RejectionResponses:
    def __init__(self, allowed_origins: tuple[str, ...]) -> None:
        self.overloaded = StaticErrorResponse(overloaded(), allowed_origins)
        self.malformed = {
            status: StaticErrorResponse(ApiError(status, "bad_request", message), allowed_origins)
            for status, message in MALFORMED_REQUESTS.items()
        }


# One set for all connections of a process.
rejection_responses = lru_cache(maxsize=1)(RejectionResponses)


class LoadSheddingProtocol(TimeoutProtocol):
    """Reject requests while the `AdmissionController` of the application's state has no capacity for them.

    Searches are rejected once their body is there, unless they are known to be answered from a cache. The application
    does nothing for those whose body comes with the head, and for others what comes before the body.

    Those on a connection more than may be busy are rejected as well, and it is closed.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        settings: Settings = self.app_state["settings"]
        self._rejections = rejection_responses(tuple(settings.allowed_origins))
        self._admission: AdmissionController = self.app_state["admission"]
        self._admission.server_state = self.server_state
        self._receiving: ReceivingLimit = self.app_state["receiving"]
        self._late_search: tuple[RequestResponseCycle, PossibleSearch] | None = None
        """The search whose body is arriving."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._receiving.discard(self)
        super().connection_lost(exc)

    def _admit(self, cycle: RequestCycle) -> bool:
        if cycle.scope["path"] in self._admission.exempt_paths:
            return True
        has_place = self._limit.can_serve(self, len(self.connections))
        if has_place and self._admission.can_admit():
            return True
        cycle.keep_alive = cycle.keep_alive and has_place
        self._reject(cycle)
        return False

    def _start(self, cycle: RequestResponseCycle, app: Any) -> None:
        scope, searches = cycle.scope, self._admission.searches
        if (scope["method"], scope["path"]) not in self._admission.search_endpoints:
            self._run(cycle, app)
        elif cycle.more_body:
            # Slow clients must not hold the places of others, so it is decided and counted once its body is there.
            search = PossibleSearch(searches)
            self._run_search(cycle, app, search)
            self._late_search = cycle, search
        elif self._is_cached(cycle):
            self._run(cycle, app)
        elif searches.can_admit():
            self._run_search(cycle, app, searches.begin())
        else:
            self._reject(cast(RequestCycle, cycle))

    def _run_search(self, cycle: RequestResponseCycle, app: Any, search: PossibleSearch) -> None:
        with search.as_current():
            self._run(cycle, app).add_done_callback(search.end)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if self._late_search is not None:
            (cycle, search), self._late_search = self._late_search, None
            if not cycle.response_started:
                self._admit_late(cycle, search)

    def _admit_late(self, cycle: RequestResponseCycle, search: PossibleSearch) -> None:
        """Decide on a search that the application has begun to receive; to it, a refusal is a client that left."""
        if self._is_cached(cycle):
            return
        if self._admission.searches.can_admit():
            search.begin()
        else:
            # A client that has not waited for it gets it no more.
            cycle.waiting_for_100_continue = False
            self._reject(cast(RequestCycle, cycle))
            self._disconnect(cycle)

    def _is_cached(self, cycle: RequestResponseCycle) -> bool:
        """Return whether the search is known to be answered from a cache; not asked while there is room anyway."""
        return not self._admission.searches.is_idle and self._admission.is_cached(
            cast(Scope, cycle.scope), bytes(cycle.body)
        )

    def _wait_for_body(self, cycle: RequestResponseCycle) -> None:
        self._receiving.add(self)
        cycle.on_response = self._end_response_before_body

    def _receive_rest(self) -> None:
        self._receiving.discard(self)
        super()._receive_rest()

    def _end_response_before_body(self) -> None:
        self._receiving.discard(self)
        self.on_response_complete()

    def end_receiving(self) -> None:
        """Reject the request whose body is arriving: too many are."""
        SHED_REQUESTS.inc()
        self._end_with(self._rejections.overloaded.render({}, self.server_state.default_headers, close=True))

    def _reject(self, cycle: RequestCycle) -> None:
        SHED_REQUESTS.inc()
        self._admission.rejected += 1
        headers, is_head = dict(cycle.scope["headers"]), cycle.scope["method"] == "HEAD"
        response = self._rejections.overloaded.render(
            headers, cycle.default_headers, close=not cycle.keep_alive, head=is_head
        )
        cycle.write_response(response)

    def error_bytes(self, error: RequestError) -> bytes:
        response = self._rejections.malformed[error.status]
        return response.render({}, self.server_state.default_headers, close=True)
