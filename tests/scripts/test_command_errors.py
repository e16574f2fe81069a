"""Sentences of commands that fail."""

import pytest
from elastic_transport import ConnectionTimeout
from redis.exceptions import RedisError

from scripts.commands.errors import describe_error
from scripts.errors import ExitCode


@pytest.mark.parametrize(
    ("error", "server"),
    [(TimeoutError(), "Postgres"), (RedisError(), "Redis"), (ConnectionTimeout(""), "Elasticsearch")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_timeout_without_a_text_has_a_reason(error: Exception, server: str) -> None:
    described = describe_error(error)
    assert described is not None
    assert described.code == ExitCode.NOT_RUNNING
    assert described.sentence.startswith(f"{server} is unreachable: ")
    assert not described.sentence.endswith(": ")
