"""One module per group of endpoints: handlers and their `Endpoint(...)` descriptions."""

from collections.abc import Collection, Mapping

from app.endpoints.endpoint import Endpoint
from app.routes import (
    admin,
    analytics,
    companies,
    docs,
    evaluation,
    health,
    metrics,
    probes,
    recommendations,
    reference_data,
    tracking,
    trips,
)
from core.configuration.roles import ROLES, Role

# The most frequent first, because the router tries routes one by one. The fast path leaves it few searches.
_BY_ROLE: Mapping[Role, tuple[Endpoint, ...]] = {
    "events": (*tracking.ENDPOINTS, *analytics.ENDPOINTS),
    "recommendations": (*recommendations.ENDPOINTS, *health.ENDPOINTS, *evaluation.ENDPOINTS),
    "resources": (*reference_data.ENDPOINTS, *companies.ENDPOINTS, *trips.ENDPOINTS),
    "admin": admin.ENDPOINTS,
}
_OF_EVERY_ROLE: tuple[Endpoint, ...] = (*probes.ENDPOINTS, *metrics.ENDPOINTS)
_DESCRIBED = (*(endpoint for role in ROLES for endpoint in _BY_ROLE[role]), *_OF_EVERY_ROLE)
_DOCS = docs.docs_endpoints(_DESCRIBED)

ENDPOINTS: tuple[Endpoint, ...] = (*_DESCRIBED, *_DOCS)


def endpoints_of(roles: Collection[Role]) -> tuple[Endpoint, ...]:
    """Return the endpoints that a process of these roles serves: probes, metrics and documents are among all."""
    own = (endpoint for role, endpoints in _BY_ROLE.items() if role in roles for endpoint in endpoints)
    return (*own, *_OF_EVERY_ROLE, *_DOCS)
