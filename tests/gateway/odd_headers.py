"""Headers and queries by which a cache may be made to keep, or to send, what was not meant for its clients."""

from collections.abc import Iterator
from itertools import product

from aiohttp import hdrs
from multidict import istr

from tests.gateway.conftest import ORIGIN
from tests.support.request_headers import request_headers

Headers = tuple[tuple[str, str], ...]

PROXY_HEADERS = (
    *("x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "x-forwarded-prefix", "x-forwarded-server"),
    *("x-host", "x-original-url", "x-rewrite-url", "x-http-method-override", "x-method-override", "forwarded", "via"),
    *("x-accel-expires", "x-accel-redirect", "x-accel-buffering", "surrogate-capability", "cdn-loop", "max-forwards"),
)
"""Those by which copies of other services have been poisoned."""
CONDITIONS = ("if-match", "if-modified-since", "if-unmodified-since", "if-range", "range", "expect", "te", "upgrade")
CODINGS = (
    *(
        "",
        "*",
        "gzip",
        "GZIP",
        "x-gzip",
        "not-gzip",
        "gzip-not",
        "identity",
        "deflate, gzip",
        "gzip, deflate, br, zstd",
    ),
    *("gzip;q=0", "gzip;q=0.000", "gzip ; q = 0", "gzip;q=2", "gzip;q=", "gzip;q=-1", "gzip;q=0.5", "gzip ; Q=0.5"),
    *("gzip, gzip;q=0", "gzip;q=0, gzip", "br;q=1, gzip;q=0.5", "gzip;a=b;q=0", "gzip;q=0;a=b", "gzip;a", "gzip;q=1.5"),
    *("identity;q=0", "identity, gzip;q=0.1", "identity;q=0.1, gzip", "gzip, identity", "*;q=0, gzip", "gzip, *;q=0"),
)
ORIGINS = (
    *(ORIGIN, ORIGIN.upper(), f"{ORIGIN}/", f"{ORIGIN}, {ORIGIN}", ORIGIN.replace("http", "https")),
    *("null", "*", "evil.example", "https://evil.example", f"{ORIGIN}.evil.example", f"https://evil.example?{ORIGIN}"),
)
OTHER_VALUES = (
    *("", "*", "0", "he", ORIGIN, "evil.example", "for=1.2.3.4;host=evil.example;proto=http", "bytes=0-3", "DELETE"),
    *("no-cache", "/api/admin/index", '"a"', "Thu, 01 Jan 1970 00:00:00 GMT", "100-continue", "a" * 3000),
)
VALUES = {"accept-encoding": CODINGS, "origin": ORIGINS}

QUERIES = (
    *("?", "??", "?a=1", "?a=1&a=2", "?continent", "?continent=", "?continent=nowhere", f"?Origin={ORIGIN}"),
    *("?continent=Asia", "?continent=%41sia", "?continent=ASIA", "?CONTINENT=Asia", "?&continent=Asia&"),
    *("?continent=Asia&continent=Europe", "?continent=Europe&continent=Asia", "?continent=Asia%26continent=Europe"),
    *("?continent=Asia;continent=Europe", "?continent=%00", "?continent=%ff", "?continent=%c0%af", "?continent=%"),
)


def header_names() -> list[str]:
    """Return the names of all headers that matter to us, to proxies, or to HTTP as the library aiohttp lists them."""
    of_http = (value.lower() for value in vars(hdrs).values() if isinstance(value, istr))
    return sorted({*request_headers(), *PROXY_HEADERS, *CONDITIONS, *of_http})


def header_sets() -> Iterator[Headers]:
    """Yield each header with each of its values, with two values in both orders, and with an underscore in its name."""
    for name in dict.fromkeys((*request_headers(), *PROXY_HEADERS, *CONDITIONS)):
        values = VALUES.get(name, OTHER_VALUES)
        yield from (((name, value),) for value in values)
        for first, second in product((ORIGIN, "gzip"), ("evil.example", "identity")):
            yield (name, first), (name, second)
            yield (name, second), (name, first)
        if "-" in name:
            yield ((name.replace("-", "_"), values[2]),)
