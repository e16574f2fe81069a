"""The application: its routes, its middleware, its state."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp

from app.endpoints.endpoint import routes
from app.http.convertors import register_path_ids
from app.http.errors import on_http_exception
from app.lifecycle.shutdown import end_with_parent
from app.lifespan import lifespan
from app.middleware.fast_path import Kept
from app.middleware.rate_limiting import RateLimiting
from app.middleware.request_context import Edge
from app.routes import ENDPOINTS
from core.gc_tuning import collect_less
from core.settings import Settings, load_settings


class Application(Starlette):
    def build_middleware_stack(self) -> ASGIApp:
        """Without Starlette's ServerErrorMiddleware: Edge answers unexpected errors."""
        app: ASGIApp = ExceptionMiddleware(self.router, handlers=self.exception_handlers)
        for middleware, args, kwargs in reversed(self.user_middleware):
            app = middleware(app, *args, **kwargs)
        return app


def create_app(settings: Settings) -> Starlette:
    register_path_ids()
    app = Application(
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
        Middleware(Edge, allowed_origins=settings.allowed_origins),
        *([Middleware(RateLimiting)] if settings.rate_limit_enabled else []),
        Middleware(Kept),
    ]


def app_from_environment() -> Starlette:
    """What uvicorn's worker processes call."""
    end_with_parent()
    app = create_app(load_settings())
    collect_less()
    return app
