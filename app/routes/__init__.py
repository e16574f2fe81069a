"""Every endpoint of the service, group by group."""

from app.endpoints import Endpoint
from app.routes import system

ENDPOINTS: tuple[Endpoint, ...] = (*system.ENDPOINTS,)
