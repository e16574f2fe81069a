"""No way to write an address hides it from an erasure, and no other address is taken for it."""

import re
from string import punctuation
from time import thread_time
from uuid import UUID, uuid4

import pytest
from pydantic import TypeAdapter
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from schemas.api.tracking import Email
from schemas.tables import BrowsingSession, DeadEvent, Event
from schemas.tables import EventType as EventTypeRow
from tests.support.rows import rows
from tests.support.tracking.spellings import spellings
from tracking.privacy.erase import erase_user
from tracking.privacy.mentions import mentions
from tracking.privacy.spellings import SIGNS, address_pattern

CASED = "äÄßẞİıσςΣǆǅſK\u212b\u03f4\u0345éŒ😀ש"
"""Letters whose cases are not one for one, are the same as those of another letter, or do not exist."""
CONTROL = "\x01\x08\x1b\x7f\u200b\u202e"
LETTERS = [*punctuation.replace("@", ""), *CASED, *CONTROL]


def normalised(email: str) -> str:
    """Return the address as the service stores it."""
    return TypeAdapter(Email).validate_python(email)


@pytest.mark.parametrize("letter", LETTERS, ids=lambda letter: f"U+{ord(letter):04X}")
def test_every_spelling_is_found(letter: str) -> None:
    email = f"{letter}a{letter}b{letter}@{letter}c.org"
    for name, spelling in spellings(email).items():
        for text in (spelling, f"\\b{spelling}\\", f"?a%25{spelling}%40", f'{{"a":"{spelling}"}}'):
            assert mentions(text, normalised(email)), f"{name}: {text!a}"
            assert any(sign in text for sign in SIGNS), name


@pytest.mark.parametrize(
    "letter", [letter for letter in LETTERS if letter != "\\"], ids=lambda letter: f"U+{ord(letter):04X}"
)
def test_other_addresses_are_not_found(letter: str) -> None:
    email = normalised(f"pl{letter}n@c.org")
    for other in (f"pl{letter}m@c.org", f"plq{letter}n@c.org", "pln@c.org"):
        for name, spelling in spellings(other).items():
            assert not mentions(spelling, email), name


@pytest.mark.parametrize("run", ["\\", "%", "%25", "%5c", "&#0", "&#x", '"', "a", "a@b", "u0040"])
@pytest.mark.parametrize("email", ["a@b.org", "\\a\\@b", '"a"@b', "%5%@b", "&#@b"])
def test_search_takes_linear_time(email: str, run: str) -> None:
    """A quadratic search takes a minute of CPU time, this one a tenth of a second."""
    for first in ("", "a", '"'):
        began = thread_time()
        re.search(address_pattern(email), first + run * 40_000)
        assert thread_time() - began < 5


async def test_spellings_are_erased_from_every_column(settings: Settings, database: AsyncEngine) -> None:
    """One address has all letters, so that Postgres, which reads the same expression, reads each of them."""
    email = normalised(f"{''.join(LETTERS)}@example.org")
    found, other = spellings(email), spellings(f"x{email}".replace("example", "sample"))
    texts = [f"https://example.org/?user={text}&page=1" for text in (*found.values(), *other.values())]
    ids = {"session_id": uuid4(), "anonymous_id": uuid4()}
    async with database.begin() as connection:
        event_type = await connection.scalar(select(EventTypeRow.id).limit(1))
        events: list[dict[str, object]] = [{"page_url": text, "referrer": None, "event_data": {}} for text in texts]
        events += [{"page_url": None, "referrer": text, "event_data": {}} for text in texts]
        events += [{"page_url": None, "referrer": None, "event_data": {text: [{text: text}]}} for text in texts]
        await connection.execute(insert(Event), [ids | {"event_type_id": event_type} | event for event in events])
        visits = [{"anonymous_id": uuid4(), "referrer": text, "user_agent": text} for text in texts]
        await connection.execute(insert(BrowsingSession), [visit | {"session_id": uuid4()} for visit in visits])
        dead = [{"body": {"kind": "event", "entry": text}, "reason": "for some reason"} for text in texts]
        await connection.execute(insert(DeadEvent), dead)
    await erase_user(settings, email)
    left = len(other)
    assert len(await rows(database, Event)) == 3 * left
    assert len(await rows(database, DeadEvent)) == left
    sessions = await rows(database, BrowsingSession)
    assert sum(session.referrer is not None for session in sessions) == left
    assert sum(session.user_agent is not None for session in sessions) == left


async def test_mentions_of_an_address_that_no_user_has_are_erased(settings: Settings, database: AsyncEngine) -> None:
    async with database.begin() as connection:
        event_type = await connection.scalar(select(EventTypeRow.id).limit(1))
        ids = {"session_id": UUID(int=1), "anonymous_id": UUID(int=2), "event_type_id": event_type}
        await connection.execute(insert(Event).values(page_url="https://example.org/?user=dana@example.org", **ids))
    assert await erase_user(settings, "dana@example.org") == {"events": 1}
    assert await rows(database, Event) == []
