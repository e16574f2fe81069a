"""Logged values are cut and redacted in linear time, whatever a client sends."""

from collections.abc import Callable
from time import thread_time

import pytest

from core.logs.redaction import MAX_CHARACTERS, MAX_CHARACTERS_BY_NAME, redact, redact_values
from schemas.weight_sets import is_weight_set_reference

PIECES = [
    "a",
    "@",
    "a@",
    "@a",
    "a@a",
    "eyJ",
    "eyJ.",
    "eyJa.",
    ".",
    "-",
    "eyJ@",
    "%40",
    "DETAIL: ",
    "DETAIL: \n",
    "\n[SQ",
    "\n",
    " ",
]
ATTACKS = [f"{first}{second}" for first in PIECES for second in PIECES]


def seconds(function: Callable[[str], object], text: str) -> float:
    """Return the least CPU time of three calls."""
    times = []
    for _ in range(3):
        began = thread_time()
        function(text)
        times.append(thread_time() - began)
    return min(times)


@pytest.mark.parametrize("piece", ATTACKS, ids=repr)
def test_redaction_takes_linear_time(piece: str) -> None:
    """Quadratic expressions take seconds for the longer text, linear ones a few milliseconds."""
    assert seconds(redact, piece * (30_000 // len(piece)) + "\n") < 0.1


@pytest.mark.parametrize("name", [*MAX_CHARACTERS_BY_NAME, "event", "exception"])
def test_value_is_cut(name: str) -> None:
    limit = MAX_CHARACTERS_BY_NAME.get(name, MAX_CHARACTERS)
    (value,) = redact_values({name: "x" * 100_000}).values()
    assert value == "x" * limit + "…"


@pytest.mark.parametrize("position", range(180, 202))
def test_address_at_the_cut_is_redacted(position: int) -> None:
    (path,) = redact_values({"path": f"{'/' * position}dana@example.org/more"}).values()
    assert "dana" not in str(path)


@pytest.mark.parametrize(
    "value", [["dana@example.org"], ("dana@example.org",), {"to": "dana@example.org"}, ValueError("dana@example.org")]
)
def test_nested_values_are_redacted(value: object) -> None:
    assert "dana" not in str(redact_values({"event": value}))


@pytest.mark.parametrize("text", ["dana@example.org", "dana%40example.org", "?to=dana%40example.org&x"])
def test_address_is_redacted(text: str) -> None:
    assert "dana" not in redact(text)


@pytest.mark.parametrize("text", ["{}", "{} is unusable", "There is no weight set {}."])
@pytest.mark.parametrize("reference", ["nope@1", "early-summer@31"])
def test_reference_of_a_weight_set_stays(text: str, reference: str) -> None:
    assert is_weight_set_reference(reference)
    assert redact(text.format(reference)) == text.format(reference)


@pytest.mark.parametrize(
    "text",
    [
        "{{'password': '{}'}}",
        "redis://:{}@10.0.0.1/0",
        "redis://user:{}:x@cache/0",
        "password={}",
        "postgresql://{}/trips",
        "{}@mail",
    ],
)
def test_password_that_looks_like_the_reference_of_a_weight_set_is_redacted(text: str) -> None:
    assert "hunter@2" not in redact(text.format("hunter@2"))


@pytest.mark.parametrize("text", ["@", "@a", "a@", "eyJ", "eyJabc", "12 departures", ""])
def test_other_text_stays(text: str) -> None:
    assert redact(text) == text
