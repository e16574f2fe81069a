"""E-mail addresses of users, which the platform's rows have in any case."""

from itertools import product

from sqlalchemy import ColumnElement, String, func

from core.postgres.sql import in_array
from schemas.tables import User

MOST_OTHER_LETTERS = 6
"""Letters beyond ASCII whose cases are looked up in every combination, of which there are two to this power."""


def has_email(email: str) -> ColumnElement[bool]:
    """Return the condition for users with this address, which is in lower case.

    Postgres lowers letters beyond ASCII as the locale of the database says, with C not at all.
    """
    return in_array(func.lower(User.email, type_=String), other_cases(email))


def other_cases(email: str) -> list[str]:
    """Return the address with its letters beyond ASCII in both cases; of more than a few, all in the same one."""
    if sum(not letter.isascii() for letter in email) > MOST_OTHER_LETTERS:
        return sorted({email, "".join(letter if letter.isascii() else letter.upper() for letter in email)})
    cases = [letter if letter.isascii() else {letter, letter.upper()} for letter in email]
    return sorted("".join(letters) for letters in product(*cases))
