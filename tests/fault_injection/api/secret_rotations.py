"""Rotations of secrets as docs/how-to/rotate-secrets.md describes them: what is started and done, in turn."""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError
from sqlalchemy.engine import make_url

from core import clients
from core.configuration.settings import Settings
from scripts.dev_stack.valkey import VALKEY
from scripts.drill.servers import Server, server
from tests.conftest import plain
from tests.fault_injection.api.own_database import NEW, OLD, execute, role
from tests.support.api.tokens import admin_token
from tests.support.tls_proxy import CERTIFICATE, tls_proxy

Variables = Mapping[str, str]

KEYS = {name: f"the-{name}-key-of-this-rotation" for name in ("old", "new")}
SECRETS = {name: f"the-{name}-secret-of-this-rotation-of-32-bytes" for name in ("old", "new")}

ADMIN: Variables = {"ADMIN_KEY": KEYS["old"]}
"""Of the environment of every process, unless a step has other ones."""


@dataclass(frozen=True)
class Step:
    """Processes that replace those of the step before."""

    variables: Variables
    """Of their environment."""
    credentials: Sequence[Variables] = ({"X-Admin-Key": KEYS["old"]},)
    """Headers of callers from then on, each of which must be accepted."""


async def nothing() -> None:
    pass


@dataclass(frozen=True)
class Rotation:
    steps: Sequence[Step]
    admit: Callable[[], Awaitable[None]] = nothing
    """Let the new secret in, beside the old one."""
    revoke: Callable[[], Awaitable[None]] = nothing
    """Let the old secret in no longer."""


@asynccontextmanager
async def postgres_role(settings: Settings, own: Server) -> AsyncIterator[Rotation]:
    def step(name: str, password: str) -> Step:
        url = make_url(plain(own.url)).set(username=name, password=password).render_as_string(hide_password=False)
        return Step({"DATABASE_URL": url, "DATABASE_DIRECT_URL": url})

    async def revoke() -> None:
        await execute(own.url, "ALTER ROLE first PASSWORD NULL")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(plain(own.url), user="first", password=OLD)

    yield Rotation(
        [step("first", OLD), step("second", NEW)],
        lambda: execute(own.url, role("second", NEW, "first")),
        revoke,
    )


@asynccontextmanager
async def redis_password(settings: Settings, own: Server) -> AsyncIterator[Rotation]:
    async with server(VALKEY) as redis, clients.redis(redis.url) as admin:

        def step(password: str) -> Step:
            return Step({"REDIS_URL": make_url(redis.url).set(password=password).render_as_string(hide_password=False)})

        async def set_password(change: str) -> None:
            await admin.acl_setuser("default", enabled=True, passwords=[change])

        async def revoke() -> None:
            await set_password(f"-{OLD}")
            with pytest.raises(AuthenticationError):
                await Redis.from_url(step(OLD).variables["REDIS_URL"]).ping()

        await set_password(f"+{OLD}")
        yield Rotation([step(OLD), step(NEW)], lambda: set_password(f"+{NEW}"), revoke)


@asynccontextmanager
async def elasticsearch_user(settings: Settings, own: Server) -> AsyncIterator[Rotation]:
    def step(port: int, name: str) -> Step:
        return Step({"ELASTICSEARCH_URL": f"https://{name}:{name}@127.0.0.1:{port}"})

    def header(name: str) -> str:
        return f"Basic {base64.b64encode(f'{name}:{name}'.encode()).decode()}"

    async with _secured_elasticsearch(settings, header, step) as rotation:
        yield rotation


@asynccontextmanager
async def elasticsearch_key(settings: Settings, own: Server) -> AsyncIterator[Rotation]:
    def key(name: str) -> str:
        return base64.b64encode(f"{name}:a-key-of-this-rotation".encode()).decode()

    def step(port: int, name: str) -> Step:
        return Step({"ELASTICSEARCH_URL": f"https://127.0.0.1:{port}", "ELASTICSEARCH_API_KEY": key(name)})

    async with _secured_elasticsearch(settings, lambda name: f"ApiKey {key(name)}", step) as rotation:
        yield rotation


@asynccontextmanager
async def _secured_elasticsearch(
    settings: Settings, header: Callable[[str], str], step: Callable[[int, str], Step]
) -> AsyncIterator[Rotation]:
    async with tls_proxy(settings.elasticsearch_url, header("old")) as proxy:

        def with_certificate(name: str) -> Step:
            return Step({**step(proxy.port, name).variables, "ELASTICSEARCH_CA_FILE": str(CERTIFICATE)})

        async def admit() -> None:
            proxy.accepted.add(header("new"))

        async def revoke() -> None:
            assert proxy.refused == 0
            proxy.accepted.remove(header("old"))

        yield Rotation([with_certificate("old"), with_certificate("new")], admit, revoke)
        assert proxy.refused == 0


@asynccontextmanager
async def service_key(settings: Settings, own: Server) -> AsyncIterator[Rotation]:
    old, new = ({"X-Admin-Key": key} for key in KEYS.values())
    yield Rotation(
        [
            Step({"ADMIN_KEY": KEYS["old"]}, [old]),
            Step({"ADMIN_KEY": KEYS["new"], "ADMIN_KEY_PREVIOUS": KEYS["old"]}, [old]),
            Step({"ADMIN_KEY": KEYS["new"]}, [new]),
        ]
    )


@asynccontextmanager
async def token_secret(settings: Settings, own: Server) -> AsyncIterator[Rotation]:
    old, new = ({"Authorization": f"Bearer {admin_token(secret)}"} for secret in SECRETS.values())

    def step(current: str, previous: str, *credentials: Variables) -> Step:
        names = {"SUPABASE_JWT_SECRET": current, "SUPABASE_JWT_SECRET_PREVIOUS": previous}
        return Step({name: SECRETS[which] for name, which in names.items() if which}, credentials)

    yield Rotation(
        [
            step("old", "", old),
            step("old", "new", old),
            step("new", "old", old, new),
            step("new", "", new),
        ]
    )


ROTATIONS = (postgres_role, redis_password, elasticsearch_user, elasticsearch_key, service_key, token_secret)
