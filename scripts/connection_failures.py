"""Why a server cannot be reached, in our own words: libraries and the system have texts of their own for it."""

import errno
import ssl
from collections.abc import Iterator
from http.client import HTTPException
from socket import gaierror
from urllib.error import HTTPError

from core.postgres.connection import NoSuchHostError

NO_RESPONSE = "it does not respond in time"
REFUSED = "nothing listens at its address"
OTHER = "the connection failed"

_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (ssl.SSLCertVerificationError, "its certificate is not trusted"),
    (ssl.SSLError, "it does not speak TLS as we do"),
    (gaierror, "the name of its host is not known"),
    (UnicodeError, "the name of its host is not known"),
    (FileNotFoundError, "there is no socket at its address"),
    (PermissionError, "this user may not use its address"),
    (TimeoutError, NO_RESPONSE),
    (ConnectionResetError, "it closed the connection"),
    (BrokenPipeError, "it closed the connection"),
    (EOFError, "it closed the connection"),
    (HTTPException, "it does not speak HTTP"),
)
_NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EINVAL}


def describe_failure(error: BaseException) -> str:
    """Return the reason of a failed connection, from the error or from those that caused it."""
    for cause in _causes(error):
        if isinstance(cause, NoSuchHostError):
            return str(cause)
        if isinstance(cause, HTTPError):
            return f"it responds with status {cause.code}"
        for type_, reason in _REASONS:
            if isinstance(cause, type_):
                return reason
        number = cause.errno if isinstance(cause, OSError) else None
        if number == errno.ECONNREFUSED:
            return REFUSED
        if number in _NO_ROUTE:
            return "there is no route to its address"
    return NO_RESPONSE if any("imeout" in type(cause).__name__ for cause in _causes(error)) else OTHER


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and all that it is made of, the outer ones first."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            inner = (getattr(cause, name, None) for name in ("reason", "os_error", "__cause__", "__context__"))
            # Of Elasticsearch's client.
            waiting += [*inner, *getattr(cause, "errors", ())]
