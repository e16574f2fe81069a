"""Responses of the health endpoints."""

from typing import Literal

from pydantic import ConfigDict, Field

from schemas.api.model import ApiModel
from schemas.api.trips import SCHEMA_VERSION

SERVICE = "SmartTrip API"

DependencyState = Literal["up", "down", "incomplete", "no_index", "closed", "stale"]
BreakerState = Literal["closed", "half_open", "open"]


class Welcome(ApiModel):
    status: Literal["ok"] = "ok"
    """The service responds."""
    service: str = SERVICE
    """Name of the service."""
    version: str
    """Version of the service."""
    documentation: str = "/docs"
    """Path of the API's reference."""


class TableCounts(ApiModel):
    """Number of rows as of a few seconds ago; null while unknown."""

    trip_occurrences: int | None = None
    """Number of departures."""
    trip_templates: int | None = None
    """Number of templates."""
    countries: int | None = None
    """Number of countries."""
    guides: int | None = None
    """Number of guides."""
    tags: int | None = None
    """Number of tags."""
    trip_types: int | None = None
    """Number of trip types."""


class Dependencies(ApiModel):
    postgres: DependencyState
    """State of Postgres; incomplete: it lacks a table or a column that the service cannot do without."""
    redis: DependencyState
    """State of Redis."""
    elasticsearch: DependencyState
    """State of Elasticsearch and of the index."""


class Breakers(ApiModel):
    """States of the circuit breakers. Open: the backend fails, and calls to it are rejected for a moment."""

    postgres: BreakerState
    """State of the circuit breaker of Postgres."""
    redis: BreakerState
    """State of the circuit breaker of Redis."""
    elasticsearch: BreakerState
    """State of the circuit breaker of Elasticsearch."""


class Health(ApiModel):
    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    status: Literal["healthy", "degraded", "unhealthy"]
    """Degraded: a backend is down, and the service works without it. Unhealthy: there are no recommendations."""
    service: str = SERVICE
    """Name of the service."""
    version: str
    """Version of the service."""
    schema_version: str = Field(SCHEMA_VERSION, alias="schema")
    """Version of the platform's tables."""
    database: TableCounts
    """Row counts."""
    dependencies: Dependencies
    """State of each backend."""
    breakers: Breakers
    """State of each circuit breaker."""
