"""Every endpoint of the service, group by group."""

from app.endpoints import Endpoint
from app.routes import health, metrics, recommendations, resources, system, trips

ENDPOINTS: tuple[Endpoint, ...] = (
    *health.ENDPOINTS,
    *metrics.ENDPOINTS,
    *recommendations.ENDPOINTS,
    *resources.ENDPOINTS,
    *system.ENDPOINTS,
    *trips.ENDPOINTS,
)
