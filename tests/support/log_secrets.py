"""Find in the output of our processes what no log may contain: passwords, keys and addresses of persons."""

import re
import typing
from collections.abc import Iterator, Mapping

from pydantic import SecretStr

from core.configuration.settings import Settings

PASSWORD = re.compile(r"://[^\s/@:]*:([^\s/@]+)@")
EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}\b")
SHORTEST = 8
"""Characters below which a secret may stand in a log by chance."""
OF_OPENTELEMETRY = ("OTEL_EXPORTER_OTLP_HEADERS",)


def _is_secret(annotation: object) -> bool:
    return annotation is SecretStr or any(map(_is_secret, typing.get_args(annotation)))


SECRET_SETTINGS = {name.upper() for name, field in Settings.model_fields.items() if _is_secret(field.annotation)}


def secrets(env: Mapping[str, str]) -> Iterator[str]:
    """Yield the secrets that a process gets by its variables."""
    for name, value in env.items():
        if name in SECRET_SETTINGS or name in OF_OPENTELEMETRY:
            yield value
        elif name.lower() in Settings.model_fields:
            yield from PASSWORD.findall(value)


def find_secrets(output: str, env: Mapping[str, str]) -> list[str]:
    """Return what the output should not contain, each once."""
    planted = {secret for secret in secrets(env) if len(secret) >= SHORTEST and secret in output}
    return sorted(planted | set(EMAIL.findall(output)))
