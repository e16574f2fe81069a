"""Settings from environment variables and `.env`; docs/reference/settings.md documents each variable."""

import re
from datetime import date
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from ssl import PROTOCOL_TLS_CLIENT, SSLContext, SSLError
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    IPvAnyNetwork,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from core.concurrency.resource_limits import ResourceLimits
from core.configuration.errors import describe_setting_error
from core.configuration.hosts import is_http_url
from core.configuration.postgres_url import parse_postgres_url
from core.configuration.rates import parse_rates
from core.configuration.redis_url import parse_sentinel_url
from core.configuration.roles import ROLES, Role
from schemas.event_types import MAX_BATCH
from schemas.index_document import versioned_alias
from schemas.lenient import empty_as_none
from schemas.weight_sets import PLATFORM, REFERENCE_FORM, REFERENCE_PATTERN

MIN_SECRET_BYTES = 32
"""Length of a secret for HS256, as RFC 7518 requires it."""


_WITH_PORT = re.compile(r"https?://[^/]*:[0-9]{1,5}(/.*)?")

LogFormat = Literal["auto", "json", "console"]


class SettingsError(Exception):
    """A variable is missing or invalid; the message names it."""


def _split(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _split_postgres_urls(value: Any) -> Any:
    """Split at the commas before a URL: others are within one, between its hosts."""
    if not isinstance(value, str):
        return value
    return [part.strip(", ") for part in re.split(r",\s*(?=[a-z+]+://)", value) if part.strip(", ")]


def _postgres_url(value: str) -> str:
    # Files of secrets end with a line break, which would be part of the database's name.
    value = value.strip()
    parse_postgres_url(value)
    return f"postgresql+asyncpg://{value.partition('://')[2]}"


def _http_url(value: str) -> str:
    if not is_http_url(value):
        raise ValueError("should be http://host:port or https://host:port")
    return value.rstrip("/")


def _http_urls(value: str) -> str:
    """Validate one URL or several, separated by commas; each names its port, as Elasticsearch's client assumes none."""
    urls = [_http_url(url.strip()) for url in value.split(",") if url.strip()]
    if not urls or len(set(urls)) < len(urls) or not all(_WITH_PORT.fullmatch(url) for url in urls):
        raise ValueError("should be http://host:port, or different ones of one cluster, separated by commas")
    return ",".join(urls)


def _optional_http_url(value: str | None) -> str | None:
    return None if value is None else _http_url(value)


def _long_secret(value: SecretStr | None) -> SecretStr | None:
    """Reject a secret that can be found by trying: whoever has a token can try as often as they like."""
    if value is not None and len(value.get_secret_value().encode()) < MIN_SECRET_BYTES:
        raise ValueError(f"should have at least {MIN_SECRET_BYTES} bytes")
    return value


def _ca_file(value: str | None) -> str | None:
    """Reject what is no file of certificates now, rather than at the first connection."""
    try:
        if value is not None:
            SSLContext(PROTOCOL_TLS_CLIENT).load_verify_locations(value)
    except (SSLError, OSError):
        raise ValueError("should be a file in PEM format that this process may read") from None
    return value


Text = TypeVar("Text", bound=str | SecretStr | None)


def _matching(pattern: str, sentence: str) -> AfterValidator:
    """Return a validator that rejects, with the sentence, a text that the pattern does not match as a whole."""

    def validate(value: Text) -> Text:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if text is not None and not re.fullmatch(pattern, text, re.ASCII):
            raise ValueError(sentence)
        return value

    return AfterValidator(validate)


def _redis_url(value: str) -> str:
    value = value.strip()
    parse_sentinel_url(value)
    return value


def _origin(value: str) -> str:
    """Validate an origin. `*` is rejected: credentials are allowed, so each origin has to be named."""
    scheme, separator, host = value.rstrip("/").partition("://")
    if scheme not in ("http", "https") or not separator or not host or "/" in host or "*" in host:
        raise ValueError("should be origins such as https://www.example.org, separated by commas")
    return f"{scheme}://{host}".lower()


def _rates(value: str) -> str:
    try:
        parse_rates(value)
    except ValueError:
        raise ValueError("should be rates such as 200/hour; 50/minute") from None
    return value


def _event_rates(value: str) -> str:
    if min(rate.amount for rate in parse_rates(_rates(value))) < MAX_BATCH:
        raise ValueError(f"should allow at least {MAX_BATCH} events, those of one request, in every window")
    return value


def _host(value: str) -> str:
    if not value.strip():
        raise ValueError("should be an address of this machine such as 127.0.0.1")
    return value.strip()


PostgresUrl = Annotated[str, BeforeValidator(_postgres_url)]
Item = TypeVar("Item")
CommaList = Annotated[list[Item], NoDecode, BeforeValidator(_split)]
Origin = Annotated[str, AfterValidator(_origin)]
# `*` is rejected: where credentials are allowed, it stands for itself only.
HeaderName = Annotated[
    str, _matching(r"[A-Za-z0-9_-]+", "should be names of headers such as X-Trace-Id, separated by commas")
]
RedisPrefix = Annotated[
    str, _matching(r"[A-Za-z0-9_.:-]{0,50}", "should be up to 50 letters, digits, and characters of _.:-")
]
Alias = Annotated[
    str,
    _matching(r"[a-z][a-z0-9_-]{0,99}", "should be up to 100 of a-z, 0-9, _ and -, beginning with a letter"),
]
Replicas = Annotated[
    str | None,
    _matching(
        r"[0-9]{1,2}(-([0-9]{1,2}|all))?", "should be a number of copies such as 1, or a range such as 0-1 or 0-all"
    ),
]
ApiKey = Annotated[
    SecretStr | None,
    _matching(
        r"[A-Za-z0-9+/_-]{16,1000}=*",
        "should be the `encoded` form of a key: at least 16 letters, digits, and characters of +/_-=",
    ),
]
Rates = Annotated[str, AfterValidator(_rates)]
EventRates = Annotated[str, AfterValidator(_event_rates)]
WeightsReference = Annotated[str, _matching(REFERENCE_PATTERN, REFERENCE_FORM)]


class Settings(ResourceLimits, BaseSettings):
    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, hide_input_in_errors=True)

    database_url: PostgresUrl
    database_replica_urls: Annotated[list[PostgresUrl], NoDecode, BeforeValidator(_split_postgres_urls)] = []
    database_direct_url: Annotated[PostgresUrl | None, empty_as_none] = None
    redis_url: Annotated[str, BeforeValidator(_redis_url)]
    redis_prefix: RedisPrefix = ""
    elasticsearch_url: Annotated[str, BeforeValidator(_http_urls)]
    elasticsearch_api_key: Annotated[ApiKey, empty_as_none] = None
    elasticsearch_ca_file: Annotated[str | None, AfterValidator(_ca_file), empty_as_none] = None
    elasticsearch_alias: Alias = "trips"
    elasticsearch_replicas: Annotated[Replicas, empty_as_none] = None
    elasticsearch_shards: Annotated[int, Field(ge=1, le=64)] = 1
    today: Annotated[date | None, empty_as_none] = None
    timezone: str = "Asia/Jerusalem"

    host: Annotated[str, AfterValidator(_host)] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 5000
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    roles: Annotated[CommaList[Role], Field(min_length=1)] = list(ROLES)
    allowed_origins: CommaList[Origin] = ["http://localhost:3000"]
    allowed_headers: CommaList[HeaderName] = []
    trusted_proxies: CommaList[IPvAnyNetwork] = []
    metrics_allowed: CommaList[IPvAnyNetwork] = [IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")]
    supabase_jwt_secret: Annotated[SecretStr | None, AfterValidator(_long_secret), empty_as_none] = None
    supabase_jwt_secret_previous: Annotated[SecretStr | None, AfterValidator(_long_secret), empty_as_none] = None
    supabase_jwks_url: Annotated[str | None, AfterValidator(_optional_http_url), empty_as_none] = None
    supabase_issuer: Annotated[str | None, empty_as_none] = None
    admin_key: Annotated[SecretStr | None, empty_as_none] = None
    admin_key_previous: Annotated[SecretStr | None, empty_as_none] = None
    rate_limit_enabled: bool = True
    rate_limit_default: Rates = "200/hour; 50/minute"
    rate_limit_recommendations: Rates = "10/minute"
    rate_limit_resources: Rates = "6000/hour; 300/minute"
    rate_limit_events: Rates = "6000/hour; 300/minute"
    rate_limit_event_count: EventRates = "60000/hour; 3000/minute"
    rate_limit_evaluation: Rates = "6/hour"
    max_requests_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 512
    drain_seconds: Annotated[float, Field(ge=0, le=60)] = 2
    scoring_weights: WeightsReference = PLATFORM
    rollout_percent: Annotated[int, Field(ge=1, le=100)] = 10
    answer_cache_seconds: Annotated[int, Field(ge=0, le=86_400)] = 240
    fallback_candidates: Annotated[int, Field(ge=1, le=10_000_000)] = 50_000
    reindex_rate: Annotated[float | None, Field(gt=0, le=10_000_000), empty_as_none] = None
    index_keep_hours: Annotated[float, Field(ge=0, le=87_600)] = 24
    worker_port: Annotated[int | None, Field(ge=1, le=65535), empty_as_none] = None
    tracking_limit: Annotated[int, Field(ge=100, le=10_000_000)] = 100_000
    tracking_limit_bytes: Annotated[int, Field(ge=1024 * 1024, le=2**50)] = 256 * 1024 * 1024
    tracking_retention_days: Annotated[int, Field(ge=1, le=3650)] = 365
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: LogFormat = "auto"
    access_log_rate: Annotated[int, Field(ge=0, le=10_000)] = 20
    slow_request_seconds: Annotated[float, Field(gt=0, le=600)] = 0.5
    server_timing: bool = False

    @field_validator("elasticsearch_api_key")
    @classmethod
    def _alone(cls, value: SecretStr | None, others: ValidationInfo) -> SecretStr | None:
        if value is not None and "@" in others.data.get("elasticsearch_url", ""):
            raise ValueError("should be alone: ELASTICSEARCH_URL has a user already")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("should be a name such as Asia/Jerusalem") from None
        return value

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def search_alias(self) -> str:
        """Alias of the index whose documents this program reads."""
        return versioned_alias(self.elasticsearch_alias)

    @property
    def direct_url(self) -> str:
        """URL for session locks and migrations, which must bypass a connection pooler."""
        return self.database_direct_url or self.database_url


def load_settings(**overrides: Any) -> Settings:
    """Read the environment and `.env`.

    Raises: SettingsError, with one sentence that names the variable.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsError(_describe(error)) from None
    except UnicodeDecodeError:
        raise SettingsError(".env should be a text file in UTF-8.") from None


def parse_setting(name: str, value: object) -> Any:
    """Return the value of one setting as Settings would read it. Raises: SettingsError, with what it should be."""
    try:
        parsed = Settings.__pydantic_validator__.validate_assignment(Settings.model_construct(), name, value)
    except ValidationError as error:
        raise SettingsError(_describe(error).partition(": ")[2].rstrip(".")) from None
    return getattr(parsed, name)


def _describe(error: ValidationError) -> str:
    return describe_setting_error(error, Settings.model_json_schema()["properties"])
