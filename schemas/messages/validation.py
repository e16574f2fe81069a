"""What is wrong with a field of a request, by kind. Each text continues the field's name."""

from pydantic_core import ErrorDetails, PydanticCustomError

from schemas.messages.message import Message
from schemas.messages.validation_texts import KINDS, OTHER_KIND


def invalid(kind: str, /, **values: object) -> PydanticCustomError:
    """Return the error of a validator: a kind of `KINDS`, and the values of its text."""
    return PydanticCustomError(kind, KINDS[kind].en, values)


def message_of(problem: ErrorDetails) -> Message:
    """Return the message for an error of pydantic, whether a validator of ours raised it or pydantic itself."""
    values = problem.get("ctx", {})
    if problem["type"] not in KINDS:
        return Message(OTHER_KIND, problem=problem["msg"])
    if "expected" in values:
        # Of literals; pydantic's text ends in an English "or".
        values["expected"] = str(values["expected"]).replace(" or ", ", ")
    return Message(problem["type"], **values)


def nested(error: ValueError) -> Message:
    """Return the message of a validator's error, as a value of another message."""
    assert isinstance(error, PydanticCustomError)
    return Message(error.type, **(error.context or {}))
