"""What is found in logs that they may not contain."""

import pytest

from tests.support.log_secrets import SECRET_SETTINGS, find_secrets

SECRET = "planted-0f5a93b1"
ENV = {
    "DATABASE_URL": f"postgresql://smarttrip:{SECRET}@127.0.0.1:5432/smarttrip",
    "REDIS_URL": f"redis://:{SECRET}-of-redis@127.0.0.1/0",
    "ADMIN_KEY": f"{SECRET}-key",
    "HOME": "/home/somebody",
}


def test_settings_that_are_secret_are_known() -> None:
    assert {"ADMIN_KEY", "SUPABASE_JWT_SECRET", "ELASTICSEARCH_API_KEY"} <= SECRET_SETTINGS


@pytest.mark.parametrize("found", [SECRET, f"{SECRET}-of-redis", f"{SECRET}-key", "dana@example.org"])
def test_secrets_and_addresses_are_found(found: str) -> None:
    assert found in find_secrets(f'{{"event": "request", "reason": "for {found}!"}}', ENV)


def test_ordinary_lines_contain_nothing() -> None:
    lines = '{"event": "ready", "url": "postgresql://smarttrip@127.0.0.1:5432"}\nmade in /home/somebody\nuser@host'
    assert find_secrets(lines, ENV) == []
