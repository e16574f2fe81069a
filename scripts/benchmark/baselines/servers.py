"""Applications that the service is compared with; they run under the same HTTP server as the service."""

import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypedDict

import asyncpg
import orjson
from msgspec import Raw
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.backends.database import Database, ReadSession
from app.http.raw_response import JSON
from app.recommendations.trip_search.postgres_ranking import filter_query
from app.repositories.lookups import load_lookups
from app.server.admission import AdmissionController, running_admission
from app.server.connections import ConnectionLimit, connection_limit
from app.server.parsing_turns import ParsingTurns
from app.server.receiving_limit import ReceivingLimit, receiving_limit
from app.server.run import serve
from core import clients
from core.business_date import BusinessDateProvider, business_date_provider
from core.configuration.settings import Settings, load_settings
from schemas.api.entities import RecommendedDeparture, to_json
from schemas.api.preferences import Preferences
from schemas.document_fields import departure_values, template_values
from schemas.index_document import TripDocument
from schemas.tables import TripOccurrence, TripTemplate
from scoring import weights
from scoring.context import SearchContext
from scoring.explain import score_documents
from scoring.filters import candidate_filter
from scoring.rules import applicable_rules

RESPONSE_BYTES = "BENCH_BARE_BYTES"
"""Environment variable with the size of the constant response."""

TIMEOUT = 120.0
"""Seconds: timeout of connections and statements; scoring one search blocks the event loop for seconds."""


class ServerState(TypedDict):
    """State that the server's protocol reads from an application."""

    settings: Settings
    admission: AdmissionController
    connections: ConnectionLimit
    receiving: ReceivingLimit
    parsing_turns: ParsingTurns


def constant_server() -> Starlette:
    """Create an application that sends the same RESPONSE_BYTES bytes for every request."""
    body = b'{"success":true,"data":"%b"}' % (b"x" * int(os.environ[RESPONSE_BYTES]))
    return _constant_server("/", body)


def trace_collector() -> Starlette:
    """Create an application that takes traces over OTLP (HTTP), and forgets them."""
    return _constant_server("/v1/traces", b"")


@asynccontextmanager
async def _server_state(settings: Settings) -> AsyncIterator[ServerState]:
    """Yield the state that the HTTP server reads, with the admission control running."""
    async with running_admission(settings.max_requests_in_flight) as admission:
        yield ServerState(
            settings=settings,
            admission=admission,
            connections=ConnectionLimit(connection_limit(settings)),
            receiving=ReceivingLimit(receiving_limit(settings)),
            parsing_turns=ParsingTurns(),
        )


def _constant_server(path: str, body: bytes) -> Starlette:
    settings = load_settings()

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[ServerState]:
        async with _server_state(settings) as state:
            yield state

    async def respond(_request: Request) -> Response:
        return Response(body, media_type=JSON)

    return Starlette(routes=[Route(path, respond, methods=["GET", "POST"])], lifespan=lifespan)


class DatabaseState(ServerState):
    database: Database
    today: BusinessDateProvider


def database_only() -> Starlette:
    """Create an application that loads all candidates through the ORM, and scores and sorts them in Python."""
    settings = load_settings()

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[DatabaseState]:
        engine = clients.postgres(
            settings.database_url,
            pool_timeout=TIMEOUT,
            connect_timeout=TIMEOUT,
            command_timeout=TIMEOUT,
        )
        database = Database(engine)
        async with _server_state(settings) as state:
            yield DatabaseState(**state, database=database, today=business_date_provider(settings))
        await database.close()

    return Starlette(routes=[Route("/", _search_the_database, methods=["POST"])], lifespan=lifespan)


async def _search_the_database(request: Request[DatabaseState]) -> Response:
    preferences = Preferences.model_validate(await request.json())
    async with request.state["database"].read() as session:
        search = SearchContext(preferences, request.state["today"](), await load_lookups(session))
        departures = {trip.id: trip for trip in await _candidates(session, search)}
    scored = score_documents([_document(trip) for trip in departures.values()], applicable_rules(search))
    scored.sort(key=lambda result: (-result.score, result.document.start, result.document.id))
    trips = b",".join(_with_score(departures[result.document.id], result.score) for result in scored[: weights.RESULTS])
    envelope = orjson.dumps({"success": True, "total_candidates": len(departures)})[:-1]
    return Response(b'%b,"data":[%b]}' % (envelope, trips), media_type=JSON)


def _with_score(trip: TripOccurrence, score: int) -> bytes:
    return b'%b,"match_score":%d}' % (to_json(RecommendedDeparture.model_validate(trip))[:-1], score)


async def _candidates(session: ReadSession, search: SearchContext) -> Sequence[TripOccurrence]:
    template = joinedload(TripOccurrence.template)
    query = filter_query(select(TripOccurrence), candidate_filter(search)).options(
        joinedload(TripOccurrence.guide),
        template.joinedload(TripTemplate.company),
        template.joinedload(TripTemplate.trip_type),
        template.joinedload(TripTemplate.primary_country),
        template.selectinload(TripTemplate.tags),
    )
    return (await session.scalars(query)).all()


def _document(trip: TripOccurrence) -> TripDocument:
    return TripDocument(**template_values(trip.template), **departure_values(trip), trip=Raw(b"{}"))


STORE_EVENTS = """
INSERT INTO events (
    event_uuid, event_type_id, session_id, anonymous_id, trip_id, source, event_data, "timestamp", created_at
)
SELECT gen_random_uuid(), event_types.id, session_id, anonymous_id, trip_id, source, '{}', now(), now()
FROM jsonb_to_recordset($1::jsonb -> 'events') AS event (
    event_type text, session_id uuid, anonymous_id uuid, trip_id integer, source text
)
JOIN event_types ON event_types.name = event_type
"""


class EventsState(ServerState):
    pool: "asyncpg.Pool[Any]"


def event_statement() -> Starlette:
    """Create an application that stores each batch of events by one statement, and counts nothing."""
    settings = load_settings()

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[EventsState]:
        # asyncpg itself takes no name of a driver.
        url = settings.database_url.replace("+asyncpg", "")
        async with _server_state(settings) as state, asyncpg.create_pool(url, min_size=1, max_size=8) as pool:
            yield EventsState(**state, pool=pool)

    async def store(request: Request[EventsState]) -> Response:
        await request.state["pool"].execute(STORE_EVENTS, (await request.body()).decode())
        return Response(b'{"success":true}', media_type=JSON)

    return Starlette(routes=[Route("/", store, methods=["POST"])], lifespan=lifespan)


if __name__ == "__main__":
    factory, port = sys.argv[1:]
    serve(load_settings(port=port), f"scripts.benchmark.baselines.servers:{factory}")
