"""Requests with odd targets, headers and versions, made by rule."""

from itertools import product
from typing import NamedTuple

BASES = ("/api/tags", "/api/countries/1", "/api/v2/occurrences", "/api/admin/index", "/metrics", "/livez")
FORMS = {
    "as it is": "{path}",
    "double slash": "/{path}",
    "double slash within": "{folder}//{name}",
    "slash at the end": "{path}/",
    "dot": "{folder}/./{name}",
    "dots": "{folder}/x/../{name}",
    "dots from elsewhere": "/livez/..{path}",
    "encoded dots": "{folder}/x/%2e%2E/{name}",
    "encoded slash": "{folder}%2f{name}",
    "encoded slash at the start": "/%2f{path}",
    "encoded backslash": "{folder}/x%5c..%5c{name}",
    "encoded letter": "{folder}/%{code}{rest}",
    "twice encoded": "{folder}/%25{code}{rest}",
    "capitals": "{capitals}",
    "parameters": "{path};a=b",
    "encoded question mark": "{path}%3fa=b",
    "encoded NUL": "{path}%00",
    "encoded line feed": "{path}%0a",
    "encoded number sign": "{path}%23a",
    "number sign": "{path}#a",
    "query of slashes": "{path}?a=/../admin",
    "two question marks": "{path}??a=1",
    "blank": "{path} a",
    "absolute": "http://x{path}",
    "absolute of another host": "http://elsewhere.example{path}",
    "absolute with user": "http://a@b{path}",
    "no slash": "x{path}",
}
SEQUENCES = (
    *(
        "%c0%af",
        "%c0%ae",
        "%e0%80%af",
        "%f0%80%80%af",
        "%c0%80",
        "%ef%bc%8f",
        "%e2%80%ae",
        "%ff",
        "%",
        "%2",
        "%zz",
        "%u002f",
    ),
)
"""Overlong and other encodings of slashes, dots and zeros, and some that are none."""
ENCODED = {
    f"{name} {sequence}": form.replace("@", sequence)
    for sequence in SEQUENCES
    for name, form in (("dots between", "{folder}/x@..@{name}"), ("at the end", "{path}@"), ("at the start", "@{path}"))
}
HEADERS = {
    "none": b"Host: x\r\n",
    "no host": b"",
    "two hosts": b"Host: x\r\nHost: y\r\n",
    "upgrade": b"Host: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n",
    "other path": b"Host: x\r\nX-Original-URL: /api/admin/index\r\nX-Rewrite-URL: /api/admin/index\r\n",
    "other host": b"Host: x\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: ftp\r\n",
    "other method": b"Host: x\r\nX-HTTP-Method-Override: DELETE\r\n",
    "body": b"Host: x\r\nContent-Length: 2\r\n\r\n{}",
    "chunks": b"Host: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "range": b"Host: x\r\nRange: bytes=0-3\r\n",
    "underscores": b"Host: x\r\nX_Request_ID: another-id\r\nContent_Length: 9\r\nTransfer_Encoding: chunked\r\n",
    "folded": b"Host: x\r\nX-A: b\r\n c\r\n",
    "bare line feeds": b"Host: x\nX-A: b\n",
    "length and chunks": b"Host: x\r\nContent-Length: 12\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "long": b"Host: x\r\nX-A: %b\r\n" % (b"a" * 31_000),
    "too long": b"Host: x\r\nX-A: %b\r\n" % (b"a" * 33_000),
    "many": b"Host: x\r\n" + b"X-A: b\r\n" * 900,
    "host with port": b"Host: x:80\r\n",
    "host with user": b"Host: a@b\r\n",
    "host of an address": b"Host: [::1]:1\r\n",
}
COMMON = b"Connection: close\r\nX-Request-ID: an-odd-request\r\n"
VERSIONS = ("HTTP/1.0", "HTTP/1.1 ", "HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "http/1.1", "HTTP/1.01", "HTTP/1")


class OddRequest(NamedTuple):
    name: str
    content: bytes
    plain: bytes
    """A request for the same target about which nothing else is odd."""


def odd_requests(method: str) -> list[OddRequest]:
    ordinary = {"as it is": FORMS["as it is"]}
    hosts = {name: HEADERS[name] for name in ("none", "no host")}
    return [
        odd_request(method, path, form, header, version)
        for forms, headers, versions in (
            (FORMS, HEADERS, ("HTTP/1.1",)),
            (ENCODED, hosts, ("HTTP/1.1",)),
            (ordinary, hosts, VERSIONS),
        )
        for path, form, header, version in product(BASES, forms.items(), headers.items(), versions)
    ]


def odd_request(method: str, path: str, form: tuple[str, str], header: tuple[str, bytes], version: str) -> OddRequest:
    folder, _, name = path.rpartition("/")
    target = form[1].format(
        path=path, folder=folder, name=name, capitals=path.upper(), code=f"{ord(name[0]):02x}", rest=name[1:]
    )
    common = COMMON if header[0] != "upgrade" else b""
    end = b"" if b"\r\n\r\n" in header[1] else b"\r\n"
    head = f"{method} {target} {version}\r\n".encode() + common
    plain = f"{method} {target} HTTP/1.1\r\n".encode() + COMMON + HEADERS["none"] + b"\r\n"
    return OddRequest(f"{method} {path}, {form[0]}, {header[0]}, {version}", head + header[1] + end, plain)
