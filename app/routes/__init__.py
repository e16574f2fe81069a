"""All endpoints of the service."""

from app.endpoints.endpoint import Endpoint
from app.routes import (
    admin,
    analytics,
    companies,
    docs,
    evaluation,
    health,
    metrics,
    recommendations,
    reference_data,
    tracking,
    trips,
)

# The most frequent first, because the router tries routes one by one.
_DESCRIBED: tuple[Endpoint, ...] = (
    *recommendations.ENDPOINTS,
    *tracking.ENDPOINTS,
    *reference_data.ENDPOINTS,
    *companies.ENDPOINTS,
    *trips.ENDPOINTS,
    *health.ENDPOINTS,
    *metrics.ENDPOINTS,
    *analytics.ENDPOINTS,
    *evaluation.ENDPOINTS,
    *admin.ENDPOINTS,
)

ENDPOINTS: tuple[Endpoint, ...] = (*_DESCRIBED, *docs.docs_endpoints(_DESCRIBED))
