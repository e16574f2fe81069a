"""Default security headers; a response may override them."""

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)

API_HEADERS = (*HEADERS, (b"cache-control", b"private, no-store"))
"""Defaults for the API's paths, which no cache may store unless the response says so."""
