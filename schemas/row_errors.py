"""Errors of a row that Python cannot load, validate or write as JSON. Such a row must not affect others."""

from pydantic import ValidationError

ROW_ERRORS = (ValueError, TypeError, ArithmeticError, LookupError, RecursionError)
"""Raised for a row that cannot be shown or become a document. A failing server raises other errors."""

MAX_REASON = 1000
"""Characters."""


def describe_row_error(error: BaseException) -> str:
    """Return why a row is invalid, without the values of its fields, which may be personal."""
    if isinstance(error, ValidationError):
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        reason = "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems)
    else:
        reason = str(error)
    return f"{type(error).__name__}: {reason}"[:MAX_REASON]
