"""Every endpoint of the service, group by group."""

from app.endpoints import Endpoint
from app.routes import analytics, docs, evaluation, health, metrics, recommendations, resources, system, tracking, trips

_DESCRIBED: tuple[Endpoint, ...] = (
    *analytics.ENDPOINTS,
    *evaluation.ENDPOINTS,
    *health.ENDPOINTS,
    *metrics.ENDPOINTS,
    *recommendations.ENDPOINTS,
    *resources.ENDPOINTS,
    *system.ENDPOINTS,
    *tracking.ENDPOINTS,
    *trips.ENDPOINTS,
)

ENDPOINTS: tuple[Endpoint, ...] = (*_DESCRIBED, *docs.describing(_DESCRIBED))
