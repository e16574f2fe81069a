"""Pages for browsers: the index of the API, and errors with a way on. Programs get JSON instead."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from http import HTTPStatus
from types import MappingProxyType

from starlette.responses import Response

from app.http.accept_header import parse_qualities
from app.http.errors import VARY, ApiError, error_response
from app.http.language import request_language
from app.http.raw_response import RequestHeaders
from schemas.messages.text import Language


@dataclass(frozen=True)
class PageTexts:
    """All words of the pages but for the sentences of errors, in one language."""

    language: str
    direction: str
    title: str
    purpose: str
    ways: tuple[tuple[str, str], ...]
    """Paths and what is there: the way on from every page."""
    request: str
    """Before the id of a request that failed."""


TEXTS: Mapping[Language, PageTexts] = {
    "en": PageTexts(
        language="en",
        direction="ltr",
        title="SmartTrip API",
        purpose="Trip recommendations for web clients and other programs.",
        ways=(
            ("/", "Index of the API"),
            ("/docs", "Reference: read and try out every operation"),
            ("/openapi.json", "OpenAPI document, for programs"),
            ("/api/health", "Health of the service"),
        ),
        request="Id of this request, for the operators:",
    ),
    "he": PageTexts(
        language="he",
        direction="rtl",
        title="SmartTrip API",
        purpose="המלצות על טיולים, לאתרים ולתוכנות.",
        ways=(
            ("/", "תוכן העניינים של ה-API"),
            ("/docs", "תיעוד: קריאה והתנסות בכל הפעולות"),
            ("/openapi.json", "מסמך OpenAPI, לתוכנות"),
            ("/api/health", "מצב השירות"),
        ),
        request="מזהה הבקשה, עבור המפעילים:",
    ),
}

STYLE = (
    ":root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}"
    "body{max-width:40rem;margin:3rem auto;padding:0 1rem}"
    "li{margin:.5rem 0}:focus-visible{outline:3px solid Highlight;outline-offset:2px}"
)
POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7" fill="#1f6f8b"/>'
    '<path d="M3 11l4-7 2 4 1-2 3 5z" fill="#fff"/></svg>'
)
ROBOTS = "User-agent: *\nDisallow: /\n"


def prefers_html(headers: RequestHeaders) -> bool:
    """Return whether a browser asks for a page to show; its scripts ask for anything."""
    qualities = parse_qualities(headers.get(b"accept", b"").decode("latin-1"))
    return qualities.get("text/html", 0.0) > qualities.get("application/json", 0.0)


def index_page(version: str, language: Language) -> Response:
    texts = TEXTS[language]
    return _respond(_page(texts, f"{texts.title} {version}", texts.purpose))


def render_error(error: ApiError, request_id: str, headers: RequestHeaders) -> Response:
    """Return an error as a page for a browser that navigates, and as JSON for everything else."""
    render = error_page if prefers_html(headers) else error_response
    return render(error, request_id, request_language(headers))


def error_page(error: ApiError, request_id: str, language: Language) -> Response:
    """Return an error as a page, with the headers that its JSON would have."""
    texts = TEXTS[language]
    note = f"<p><small>{escape(texts.request)} <code>{escape(request_id)}</code></small></p>"
    content = _page(texts, f"{error.status} {HTTPStatus(error.status).phrase}", error.message.text(language), note)
    return _respond(content, error.status, error.headers)


def _page(texts: PageTexts, title: str, text: str, note: str = "") -> str:
    ways = "".join(f'<li><a href="{path}">{escape(name)}</a></li>' for path, name in texts.ways)
    return (
        f'<!doctype html><html lang="{texts.language}" dir="{texts.direction}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1><p>{escape(text)}</p><nav><ul>{ways}</ul></nav>{note}</main></body></html>"
    )


def _respond(content: str, status: int = 200, headers: Mapping[str, str] = MappingProxyType({})) -> Response:
    own = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "Vary": VARY}
    return Response(content, status_code=status, headers={**headers, **own}, media_type="text/html")
