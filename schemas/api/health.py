"""How the service and what it depends on are."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.api.trips import SCHEMA_VERSION

SERVICE = "SmartTrip API"

DependencyState = Literal["up", "down", "no_index"]
BreakerState = Literal["closed", "half_open", "open"]


class Welcome(BaseModel):
    status: Literal["ok"] = "ok"
    service: str = SERVICE
    version: str
    documentation: str = "/docs"


class TableCounts(BaseModel):
    """Rows, as of a few seconds ago; null while they are not known."""

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
    """Open: it fails, and is left alone for a moment."""

    postgres: BreakerState
    redis: BreakerState
    elasticsearch: BreakerState


class Health(BaseModel):
    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    status: Literal["healthy", "degraded", "unhealthy"]
    """Degraded: something is down, and the rest does without it. Unhealthy: there are no recommendations."""
    service: str = SERVICE
    version: str
    schema_version: str = Field(SCHEMA_VERSION, alias="schema")
    database: TableCounts
    dependencies: Dependencies
    breakers: Breakers
