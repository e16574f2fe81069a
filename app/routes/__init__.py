"""Every endpoint of the service, group by group."""

from app.endpoints import Endpoint
from app.routes import metrics, recommendations, system

ENDPOINTS: tuple[Endpoint, ...] = (*metrics.ENDPOINTS, *recommendations.ENDPOINTS, *system.ENDPOINTS)
