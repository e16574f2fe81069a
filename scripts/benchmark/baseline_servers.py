"""What the service is compared with, under the very server that the service runs under."""

import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TypedDict

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
from app.recommendations.postgres_conditions import filter_query
from app.repositories.lookups import load_lookups
from app.server.admission import AdmissionController, running_admission
from app.server.run import serve
from core import clients
from core.business_date import BusinessDateProvider, business_date_provider
from core.settings import Settings, load_settings
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

BARE_BYTES = "BENCH_BARE_BYTES"

PATIENCE = 120.0
"""Seconds: while one search is scored, no other notices that its connection has come."""


class BareState(TypedDict):
    """What the server's protocol wants of an application."""

    settings: Settings
    admission: AdmissionController


def constant_server() -> Starlette:
    """Answers so many constant bytes, whatever is asked."""
    settings = load_settings()

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[BareState]:
        async with running_admission(settings.max_requests_in_flight) as load:
            yield BareState(settings=settings, admission=load)

    body = b'{"success":true,"data":"%b"}' % (b"x" * int(os.environ[BARE_BYTES]))

    async def answer(_request: Request) -> Response:
        return Response(body, media_type=JSON)

    return Starlette(routes=[Route("/", answer, methods=["GET", "POST"])], lifespan=lifespan)


class State(BareState):
    database: Database
    today: BusinessDateProvider


def database_only() -> Starlette:
    """Candidates with all their relations through the ORM, every one of them scored in Python, then sorted."""
    settings = load_settings()

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[State]:
        engine = clients.postgres(
            settings.database_url, pool_timeout=PATIENCE, connect_timeout=PATIENCE, command_timeout=PATIENCE
        )
        database = Database(engine)
        async with running_admission(settings.max_requests_in_flight) as load:
            yield State(settings=settings, admission=load, database=database, today=business_date_provider(settings))
        await database.close()

    return Starlette(routes=[Route("/", _search_the_database, methods=["POST"])], lifespan=lifespan)


async def _search_the_database(request: Request[State]) -> Response:
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


if __name__ == "__main__":
    factory, port = sys.argv[1:]
    serve(load_settings(port=port), f"scripts.benchmark.baseline_servers:{factory}")
