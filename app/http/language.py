"""The language of error messages, as a request accepts it."""

from app.http.accept_header import parse_qualities
from app.http.raw_response import Header, RequestHeaders
from schemas.messages.text import DEFAULT_LANGUAGE, Language

SUBTAGS: dict[Language, tuple[str, ...]] = {"en": ("en",), "he": ("he", "iw")}
"""Primary subtags of the languages; `iw` is the old one of Hebrew."""

VARY_ACCEPT_LANGUAGE: Header = (b"vary", b"Accept-Language")


def request_language(headers: RequestHeaders) -> Language:
    header = headers.get(b"accept-language")
    return DEFAULT_LANGUAGE if header is None else preferred_language(header.decode("latin-1"))


def preferred_language(accept_language: str) -> Language:
    """Return the accepted language with the highest quality, of equal ones the first; by default English.

    `*` stands for the languages that are not named.
    """
    qualities = parse_qualities(accept_language)
    ranked = [(*_rank(language, qualities), language) for language in SUBTAGS]
    quality, _, best = max(ranked, key=lambda rank: rank[:2])
    return best if quality > 0 else DEFAULT_LANGUAGE


def _rank(language: Language, qualities: dict[str, float]) -> tuple[float, int]:
    """Return the quality of a language, and how early in the header it is named: 0 is first."""
    named = [
        (quality, -position)
        for position, (name, quality) in enumerate(qualities.items())
        if name.replace("_", "-").partition("-")[0] in SUBTAGS[language]
    ]
    return max(named, default=(qualities.get("*", 0.0), -len(qualities)))


def language_headers(language: Language) -> tuple[Header, ...]:
    """Return the headers of a response whose messages are in this language."""
    return VARY_ACCEPT_LANGUAGE, (b"content-language", language.encode())
