"""The application: its routes, its middleware, its state."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from app.endpoints import routes
from app.errors import on_http_exception
from app.lifespan import lifespan
from app.middleware.cors import Cors
from app.middleware.errors import Errors
from app.middleware.request_id import RequestId
from app.routes import ENDPOINTS
from schemas.settings import Settings, load_settings


def create_app(settings: Settings) -> Starlette:
    app = Starlette(
        routes=routes(ENDPOINTS),
        # Outermost first.
        middleware=[
            Middleware(RequestId),
            Middleware(Cors, allowed_origins=settings.allowed_origins),
            Middleware(Errors),
        ],
        exception_handlers={HTTPException: on_http_exception},
        lifespan=lifespan(settings),
    )
    app.router.redirect_slashes = False
    return app


def app_from_environment() -> Starlette:
    """What uvicorn's worker processes call."""
    return create_app(load_settings())
