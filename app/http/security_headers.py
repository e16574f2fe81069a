"""What browsers may do with an answer, unless the answer itself says otherwise: nothing but read it."""

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
API_HEADERS = (*HEADERS, (b"cache-control", b"private, no-store"))
