"""Tables: those of the platform (catalogue, tracking, analytics) and those of the index synchronization (sync)."""

from schemas.tables.analytics import EvaluationScenario, RecommendationMetricsDaily, RecommendationRequest
from schemas.tables.base import Base
from schemas.tables.catalogue import (
    Company,
    Country,
    Guide,
    PriceHistory,
    Review,
    Tag,
    TripOccurrence,
    TripTemplate,
    TripTemplateCountry,
    TripTemplateTag,
    TripType,
    effective_price,
)
from schemas.tables.sync import (
    INDEX_VERSION,
    SCHEMA,
    DeadEvent,
    DeadLetter,
    IndexTarget,
    JobRun,
    OutboxCopy,
    OutboxRow,
    UnverifiedBrowser,
)
from schemas.tables.tracking import BrowsingSession, Event, EventCategory, EventType, TripInteraction, User

__all__ = [
    "INDEX_VERSION",
    "SCHEMA",
    "Base",
    "BrowsingSession",
    "Company",
    "Country",
    "DeadEvent",
    "DeadLetter",
    "EvaluationScenario",
    "Event",
    "EventCategory",
    "EventType",
    "Guide",
    "IndexTarget",
    "JobRun",
    "OutboxCopy",
    "OutboxRow",
    "PriceHistory",
    "RecommendationMetricsDaily",
    "RecommendationRequest",
    "Review",
    "Tag",
    "TripInteraction",
    "TripOccurrence",
    "TripTemplate",
    "TripTemplateCountry",
    "TripTemplateTag",
    "TripType",
    "UnverifiedBrowser",
    "User",
    "effective_price",
]
