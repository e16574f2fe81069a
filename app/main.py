"""The application: its routes, its middleware, its state."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from app.draining import end_with_parent
from app.endpoints import routes
from app.errors import on_http_exception
from app.lifespan import lifespan
from app.middleware.client_address import ClientAddress
from app.middleware.cors import Cors
from app.middleware.draining import CloseWhileDraining
from app.middleware.errors import Errors
from app.middleware.load import LoadLimit
from app.middleware.metrics import Metrics
from app.middleware.rate_limits import RateLimits
from app.middleware.request_id import RequestId
from app.middleware.security_headers import SecurityHeaders
from app.path_ids import register_path_ids
from app.routes import ENDPOINTS
from schemas.settings import Settings, load_settings


def create_app(settings: Settings) -> Starlette:
    register_path_ids()
    app = Starlette(
        routes=routes(ENDPOINTS),
        middleware=_middleware(settings),
        exception_handlers={HTTPException: on_http_exception},
        lifespan=lifespan(settings),
    )
    app.router.redirect_slashes = False
    return app


def _middleware(settings: Settings) -> list[Middleware]:
    """Outermost first."""
    return [
        Middleware(RequestId),
        Middleware(Metrics),
        Middleware(ClientAddress, trusted_proxies=settings.trusted_proxies),
        Middleware(SecurityHeaders),
        Middleware(Cors, allowed_origins=settings.allowed_origins),
        Middleware(CloseWhileDraining),
        Middleware(Errors),
        Middleware(LoadLimit, in_flight=settings.max_requests_in_flight),
        *([Middleware(RateLimits)] if settings.rate_limit_enabled else []),
    ]


def app_from_environment() -> Starlette:
    """What uvicorn's worker processes call."""
    end_with_parent()
    return create_app(load_settings())
