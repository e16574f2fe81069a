"""Every way in which a model of requests rejects a value has a text of its own in both languages."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel, ValidationError

from app.http.errors import validation_error
from app.routes import ENDPOINTS
from schemas.api.tracking import TrackedEvent
from schemas.messages.validation_texts import OTHER_KIND, OWN_KINDS, PYDANTIC_KINDS

MODELS = sorted(
    {model for endpoint in ENDPOINTS for model in (endpoint.query, endpoint.body) if model} | {TrackedEvent},
    key=lambda model: model.__name__,
)

LONG = "9" * 5000
NUMBERS = [0, -1, 1, 6, 13, 400, 2**31, 2**63, 10**40, 0.5, -0.5, 1e300, float("nan"), float("inf")]
DATES = ["2026-11-24", "2020-01-01", "9999-12-31", "tomorrow", "2026-11-24T09:30:00Z"]
TEXTS = ["", " ", "x", "0", "-1", "0.5", "nan", "1e999", LONG, "1" * 40 + ".5", "0." + "1" * 40, "\0", "a@b"]
NESTED: dict[str, Any] = {}
for _ in range(300):
    NESTED = {"a": NESTED}
ODD: list[object] = [
    *(None, True, b"x", object(), *NUMBERS, *DATES, *TEXTS, f"{'x' * 300}@example.org", str(uuid4()), uuid4()),
    *([], ["x"], [None], [[]], [1] * 501, ["1"] * 501, [{}] * 101, [1.5], [True], [float("nan")]),
    *({}, {"a": "x" * 9000}, NESTED, {1: 2}, "click_trip", "page_view", "Asia", "all", "OPEN"),
]

EVENT = {"session_id": str(uuid4()), "anonymous_id": str(uuid4()), "event_type": "click_trip"}
PERIODS = [{"start": start, "end": end} for start, end in (("2026-11-24", "2026-01-01"), ("2020-01-01", "2026-11-24"))]


def rejected(model: type[BaseModel]) -> Iterator[ValidationError]:
    values = [{}, EVENT, *PERIODS, *({name: value} for name in model.model_fields for value in ODD)]
    for value in values:
        try:
            model.model_validate(value)
        except ValidationError as error:
            yield error


@pytest.fixture(scope="module")
def kinds() -> set[str]:
    """The kinds of errors that all models give."""
    return {problem["type"] for model in MODELS for error in rejected(model) for problem in error.errors()}


def test_every_kind_has_a_text(kinds: set[str]) -> None:
    assert kinds - set(PYDANTIC_KINDS) - set(OWN_KINDS) == set()


def test_every_text_has_a_kind(kinds: set[str]) -> None:
    assert set(PYDANTIC_KINDS) - kinds == set()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_fields_keep_their_names_in_both_languages(model: type[BaseModel]) -> None:
    for error in rejected(model):
        response = validation_error(error)
        for field in response.details:
            english, hebrew = field.detail("en"), field.detail("he")
            assert english["field"] == hebrew["field"]
            assert english["message"] != hebrew["message"]
            assert f"{field.name} {hebrew['message']}" in response.message.text("he")
            assert field.problem.key != OTHER_KIND
