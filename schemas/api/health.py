"""Responses of the health endpoints."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.api.trips import SCHEMA_VERSION

SERVICE = "SmartTrip API"

DependencyState = Literal["up", "down", "no_index", "closed", "stale"]
BreakerState = Literal["closed", "half_open", "open"]


class Welcome(BaseModel):
    status: Literal["ok"] = "ok"
    service: str = SERVICE
    version: str
    documentation: str = "/docs"


class TableCounts(BaseModel):
    """Number of rows as of a few seconds ago; null while unknown."""

    trip_occurrences: int | None = None
    trip_templates: int | None = None
    countries: int | None = None
    guides: int | None = None
    tags: int | None = None
    trip_types: int | None = None


class Dependencies(BaseModel):
    postgres: DependencyState
    redis: DependencyState
    elasticsearch: DependencyState


class Breakers(BaseModel):
    """States of the circuit breakers. Open: the backend fails, and calls to it are rejected for a moment."""

    postgres: BreakerState
    redis: BreakerState
    elasticsearch: BreakerState


class Health(BaseModel):
    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True, use_attribute_docstrings=True)

    status: Literal["healthy", "degraded", "unhealthy"]
    """Degraded: a backend is down, and the service works without it. Unhealthy: there are no recommendations."""
    service: str = SERVICE
    version: str
    schema_version: str = Field(SCHEMA_VERSION, alias="schema")
    database: TableCounts
    dependencies: Dependencies
    breakers: Breakers
