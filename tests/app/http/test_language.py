import pytest

from app.http.language import preferred_language, request_language


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("he", "he"),
        ("iw", "he"),
        ("HE-il", "he"),
        ("iw-IL", "he"),
        ("he_IL", "he"),
        ("en", "en"),
        ("en-US,en;q=0.9,he;q=0.8", "en"),
        ("he-IL,he;q=0.9,en-US;q=0.8,en;q=0.7", "he"),
        ("en;q=0.5, he;q=0.8", "he"),
        ("he;q=0.5, en;q=0.8", "en"),
        ("he, en", "he"),
        ("en, he", "en"),
        ("fr, he;q=0.1", "he"),
        ("fr;q=1, ar;q=0.5", "en"),
        ("he;q=0", "en"),
        ("he;q=0, *", "en"),
        ("en;q=0, *", "he"),
        ("en;q=0, he;q=0", "en"),
        ("*", "en"),
        ("*;q=0.5, he", "he"),
        ("*, he;q=0.5", "en"),
        ("he;q=2", "en"),
        ("he;q=-1", "en"),
        ("he;q=nan", "en"),
        ("he;q=x", "en"),
        ("he ; q = 0.4 , en ; q = 0.3", "he"),
        ("hebrew, hex-x", "en"),
        ("", "en"),
        (",,;;q=,=", "en"),
        ("he," * 4000, "he"),
    ],
)
def test_language_is_the_preferred_one(header: str, language: str) -> None:
    assert preferred_language(header) == language


def test_language_without_header_is_english() -> None:
    assert request_language({}) == "en"


def test_header_of_any_bytes_has_a_language() -> None:
    assert request_language({b"accept-language": bytes(range(128, 256)) + b",he"}) == "he"
