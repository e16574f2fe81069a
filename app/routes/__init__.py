"""Every endpoint of the service, group by group."""

from app.endpoints import Endpoint
from app.routes import metrics, system

ENDPOINTS: tuple[Endpoint, ...] = (*metrics.ENDPOINTS, *system.ENDPOINTS)
