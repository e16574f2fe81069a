"""The ASGI application: routes, middleware and lifespan."""

from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from app.endpoints.endpoint import Endpoint, build_routes
from app.endpoints.rate_limit_groups import RateLimitGroups
from app.endpoints.request_series import request_series
from app.http.convertors import register_path_ids
from app.lifecycle.shutdown import exit_with_parent
from app.lifespan import lifespan
from app.middleware.fast_path import FastPathMiddleware
from app.middleware.rate_limiting import RateLimitMiddleware
from app.middleware.request_context import RequestContextMiddleware
from app.middleware.routing_errors import RoutingErrorMiddleware
from app.middleware.tracing import TracingMiddleware
from app.observability import request_metrics
from app.observability.access_log import AccessLog
from app.observability.metrics import ROLE
from app.routes import endpoints_of
from core.configuration.settings import Settings, load_settings
from core.gc_tuning import tune_gc
from core.logs.configuration import configure_logs
from core.metrics.files import log_unshared
from core.tracing import spans
from core.tracing.process import start_tracing


class Application(Starlette):
    def build_middleware_stack(self) -> ASGIApp:
        """Leave out Starlette's middleware for errors: `RequestContextMiddleware` responds to unexpected ones."""
        app: ASGIApp = RoutingErrorMiddleware(self.router.middleware_stack)
        for middleware, args, kwargs in reversed(self.user_middleware):
            app = middleware(app, *args, **kwargs)
        return app


def create_app(settings: Settings) -> Starlette:
    register_path_ids()
    endpoints = endpoints_of(settings.roles)
    request_metrics.declare(request_series(endpoints))
    for role in settings.roles:
        ROLE.labels(role).set(1)
    app = Application(
        routes=build_routes(endpoints),
        middleware=_middleware(settings, endpoints),
        lifespan=lifespan(
            settings,
            exempt_from_shedding={endpoint.path for endpoint in endpoints if not endpoint.shed},
            search_endpoints={(endpoint.method, endpoint.path) for endpoint in endpoints if endpoint.searches},
            fast_path_endpoints={
                (endpoint.method, endpoint.path): frozenset(endpoint.query.model_fields if endpoint.query else ())
                for endpoint in endpoints
                if endpoint.fast_path
            },
        ),
    )
    app.router.redirect_slashes = False
    return app


def _middleware(settings: Settings, endpoints: Iterable[Endpoint]) -> list[Middleware]:
    """Return the middleware, outermost first."""
    return [
        *_tracing(settings),
        Middleware(
            RequestContextMiddleware,
            allowed_origins=settings.allowed_origins,
            allowed_headers=settings.allowed_headers,
            access_log=AccessLog(settings.access_log_rate, settings.slow_request_seconds),
            shows_timing=settings.server_timing,
        ),
        *(
            [Middleware(RateLimitMiddleware, group_of=RateLimitGroups(endpoints).group_of)]
            if settings.rate_limit_enabled
            else []
        ),
        Middleware(FastPathMiddleware),
    ]


def _tracing(settings: Settings) -> list[Middleware]:
    """Return the middleware of traces, if this process makes any."""
    return [] if spans.tracer is None else [Middleware(TracingMiddleware, spans.tracer, settings.trusted_proxies)]


def app_from_environment() -> Starlette:
    """Return the application with the settings of the environment: the factory that servers call in each process."""
    exit_with_parent()
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    log_unshared()
    start_tracing("smarttrip-api")
    app = create_app(settings)
    tune_gc()
    return app
